"""Every Topology, as the store last told."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import InvalidObject, NotFound
from meshnet.model.codec import decode_claim, decode_topology
from meshnet.model.resource import Kind
from meshnet.reconcile.follow import follow

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.model.resource import Resource
    from meshnet.model.topology import Claim, Topology
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

PodKey = tuple[str, str]


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
            return cls(resource, last, error)


class TopologyCache:
    """Topologies by (namespace, name).

    Args:
        store: that has them.
        changed: called with the key of each that may mean something new.
        known: tells whether a claim is what this daemon itself says, or is about to say, of a pod: by its node, its
            sandbox and its epoch.
    """

    def __init__(
        self,
        store: Store,
        changed: Callable[[PodKey], None],
        known: Callable[[PodKey, Claim], bool] = lambda _, __: False,
    ) -> None:
        self._store = store
        self._changed = changed
        self._known = known
        self._entries: dict[PodKey, Entry] = {}
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
        try:
            resource = await self._store.get(Kind.TOPOLOGY, *key)
        except NotFound:
            return None
        return self.take(resource)

    def take(self, resource: Resource, *, ours: bool = False) -> Entry:
        """Take in an object as the store just returned it; `ours` when this daemon just wrote its status.

        An object that has become invalid keeps its last valid links: what was wired stays wired. What is known already
        changes nothing, nor what is older: a watch and the answer to a write overtake each other.
        """
        before = self._entries.get(resource.key)
        if before is not None and _knows(before.resource, resource):
            return before
        if before is not None and _same_spec(before.resource, resource):
            claim = decode_claim(resource.status)
            topology = attrs.evolve(before.topology, claim=claim) if before.topology else None
            entry = Entry(resource, topology, before.invalid)
            # A claim of ours can be heard of before the answer to its writing comes.
            told = not ours and before.topology is not None and before.topology.claim != claim
            told = told and not self._known(resource.key, claim)
        else:
            entry = Entry.of(resource, before.topology if before else None)
            told = True
            if entry.invalid is not None:
                log.warning("%s", entry.invalid)
        self._entries[resource.key] = entry
        if told:
            self._changed(resource.key)
        return entry

    async def run(self) -> None:
        """Follow the store for ever."""
        await follow(self._store, Kind.TOPOLOGY, self)

    def keys(self) -> set[PodKey]:
        return set(self._entries)

    def listed(self) -> None:
        self.synced.set()

    def drop(self, key: PodKey) -> None:
        if self._entries.pop(key, None) is not None:
            self._changed(key)


def _knows(known: Resource, told: Resource) -> bool:
    """Tell whether `known` is `told`, or what came after it."""
    ours, theirs = known.resource_version, told.resource_version
    return known.uid == told.uid and ours.isdigit() and theirs.isdigit() and int(theirs) <= int(ours)


def _same_spec(before: Resource, after: Resource) -> bool:
    return before.uid == after.uid and before.generation == after.generation
