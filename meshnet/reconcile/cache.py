"""Every Topology, as the store last told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import InvalidObject, NotFound
from meshnet.model.codec import decode_claim, decode_topology
from meshnet.model.resource import Kind
from meshnet.reconcile.follow import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshnet.model.resource import Resource
    from meshnet.model.topology import Claim, PodKey, Topology
    from meshnet.reconcile.lastvalid import LastValid
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)


@attrs.frozen
class Entry:
    """A Topology as stored.

    Attributes:
        topology: decoded; when that cannot be, as it last could; None when it never could.
        invalid: why it cannot be decoded, or None.
    """

    resource: Resource
    topology: Topology | None
    invalid: InvalidObject | None

    @classmethod
    def of(cls, resource: Resource, last: Topology | None) -> Entry:
        try:
            return cls(resource, decode_topology(resource.document), None)
        except InvalidObject as error:
            if last is not None:  # its links, but of this object, and with the owner that it has by now
                last = attrs.evolve(last, uid=resource.uid, claim=decode_claim(resource.status))
            return cls(resource, last, error)


@attrs.define(eq=False)
class _Question:
    """What the store is being asked.

    Attributes:
        meanwhile: the objects that were told of in another way since.
    """

    meanwhile: set[PodKey] = attrs.field(factory=set)


class TopologyCache:
    """Topologies by (namespace, name).

    What a store answers when it is asked replaces what was known before, whatever the versions say: a store that was
    put back to an older state begins again with lower ones. Only what was told in another way since can be newer.

    Args:
        store: that has them.
        changed: called with the key of each that may mean something new.
        known: tells whether a claim is what this daemon itself says, or is about to say, of a pod: by its node, its
            sandbox and its epoch.
        last: keeps what is invalid now as it last was valid.
    """

    def __init__(
        self,
        store: Store,
        changed: Callable[[PodKey], None],
        known: Callable[[PodKey, Claim], bool] = lambda _, __: False,
        last: LastValid | None = None,
    ) -> None:
        self._store = store
        self._changed = changed
        self._known = known
        self._last = last
        self._entries: dict[PodKey, Entry] = {}
        self._questions: set[_Question] = set()
        self.synced = asyncio.Event()

    def entry(self, key: PodKey) -> Entry | None:
        return self._entries.get(key)

    def entries(self) -> list[Entry]:
        return list(self._entries.values())

    def topology(self, key: PodKey) -> Topology | None:
        """Return the Topology as it last was valid, if it exists."""
        entry = self._entries.get(key)
        return entry.topology if entry else None

    async def read(self, key: PodKey) -> Entry | None:
        """Return what the cache has; on a miss ask the store, once. None means it does not exist.

        Raises StoreUnavailable when that cannot be known.
        """
        return self._entries.get(key) or await self.reread(key)

    async def reread(self, key: PodKey) -> Entry | None:
        """Ask the store and take its answer in. Raises StoreUnavailable."""
        with self._asking() as question:
            try:
                resource = await self._store.get(Kind.TOPOLOGY, *key)
            except NotFound:
                if key not in question.meanwhile:
                    self.drop(key)
                return self._entries.get(key)
        if key in question.meanwhile and key not in self._entries:
            return await self.reread(key)  # it was deleted: before that answer, or after
        if self._has_newer(key, question, resource.resource_version):
            return self._entries[key]
        return self._put(resource)

    def take(self, resource: Resource, *, ours: bool = False) -> None:
        """Take in an object as a watch tells of it, or the answer to a write: `ours` when this daemon wrote its status.

        What is known already changes nothing, nor what is older: the two overtake each other. What was written is of an
        object that was known then: one that is not known any more is gone since, or was made anew.
        """
        before = self._entries.get(resource.key)
        gone = ours and (before is None or before.resource.uid != resource.uid)
        if not gone and (before is None or not _knows(before.resource, resource)):
            self._put(resource, ours=ours)

    async def run(self) -> None:
        """Follow the store for ever."""
        await follow(self._store, Kind.TOPOLOGY, self)

    async def relist(self) -> str:
        """Ask for everything there is and take the answer in; return the revision to watch from."""
        with self._asking() as question:
            listing = await self._store.list(Kind.TOPOLOGY)
        # The watch from there will tell of these.
        newer = {key for key in question.meanwhile if self._has_newer(key, question, listing.revision)}
        for resource in listing.items:
            if resource.key not in newer:
                self._put(resource)
        for key in self._entries.keys() - newer - {resource.key for resource in listing.items}:
            self.drop(key)
        if self._last is not None:
            self._last.keep_only(self._entries)
        self.synced.set()
        return listing.revision

    def drop(self, key: PodKey) -> None:
        self._note(key)
        if self._entries.pop(key, None) is not None:
            if self._last is not None:
                self._last.drop(key)
            self._changed(key)

    def _put(self, resource: Resource, *, ours: bool = False) -> Entry:
        """Have an object as it is told; one that has become invalid keeps its last valid links, so they stay wired."""
        before = self._entries.get(resource.key)
        if before is not None and _same_spec(before.resource, resource):
            claim = decode_claim(resource.status)
            topology = attrs.evolve(before.topology, claim=claim) if before.topology else None
            entry = Entry(resource, topology, before.invalid)
            # A claim of ours can be heard of before the answer to its writing comes.
            told = not ours and before.topology is not None and before.topology.claim != claim
            told = told and not self._known(resource.key, claim)
        else:
            entry = Entry.of(resource, self._last_valid(resource, before))
            self._keep_last_valid(entry, before)
            told = True
            if entry.invalid is not None:
                log.warning("%s", entry.invalid)
        self._note(resource.key)
        self._entries[resource.key] = entry
        if told:
            self._changed(resource.key)
        return entry

    def _last_valid(self, resource: Resource, before: Entry | None) -> Topology | None:
        """Return what an object last declared, should it be invalid now."""
        if before is not None:
            return before.topology
        return self._last.topology(resource) if self._last is not None else None

    def _keep_last_valid(self, entry: Entry, before: Entry | None) -> None:
        if self._last is None:
            return
        if entry.invalid is None:
            self._last.drop(entry.resource.key)
        elif before is not None and before.invalid is None:
            self._last.keep(before.resource)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[_Question]:
        question = _Question()
        self._questions.add(question)
        try:
            yield question
        finally:
            self._questions.discard(question)

    def _note(self, key: PodKey) -> None:
        """Let those who are asking the store know that it has told of an object."""
        for question in self._questions:
            question.meanwhile.add(key)

    def _has_newer(self, key: PodKey, question: _Question, revision: str) -> bool:
        """Tell whether an object was told of since a question was asked, and as newer than the answer's revision."""
        entry = self._entries.get(key)
        return key in question.meanwhile and entry is not None and _precedes(revision, entry.resource.resource_version)


def _knows(known: Resource, told: Resource) -> bool:
    """Tell whether `known` is `told`, or what came after it."""
    ours, theirs = known.resource_version, told.resource_version
    return known.uid == told.uid and (ours == theirs or _precedes(theirs, ours))


def _precedes(one: str, other: str) -> bool:
    """Tell whether one revision is older than another. What is no number is as old as any."""
    return one.isdigit() and other.isdigit() and int(one) < int(other)


def _same_spec(before: Resource, after: Resource) -> bool:
    """Tell whether two states of an object declare the same; a generation that was lost is used once more."""
    return before.uid == after.uid and before.generation == after.generation and before.spec == after.spec
