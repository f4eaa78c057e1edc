"""The store in memory: the model that the others are compared with, and a store for tests and dry runs."""

from __future__ import annotations

import collections
import itertools
import time
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import NotFound, StoreUnavailable
from meshnet.model.resource import ObjectKey, Resource
from meshnet.stores.admission import admit, kept_in, label, one_key
from meshnet.stores.base import Change, Event, Listing, Store, WatchEvent
from meshnet.stores.edits import Edit, applying, deleting, outcome, patching, patching_status, stamped
from meshnet.stores.follow import BATCH, Batch, check_place, follow
from meshnet.stores.text import dump, load
from meshnet.stores.wakeups import Wakeups

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from meshnet.model.resource import Kind

KEPT_EVENTS = 10_000


@attrs.frozen
class _Entry:
    """One change in the log; documents are kept as text, so that nobody shares them."""

    revision: int
    change: Change
    kind: Kind
    text: str


class MemoryStore(Store):
    """Everything in this process; gone with it.

    Args:
        retention: how many changes the log keeps for watches.
    """

    def __init__(self, *, retention: int = 10_000) -> None:
        self._objects: dict[tuple[Kind, str, str], str] = {}
        self._log: collections.deque[_Entry] = collections.deque(maxlen=retention)
        self._revision = 0
        self._events: dict[tuple[str, str, str, str], Event] = {}
        self._wakeups = Wakeups()
        self._closed = False

    async def get(self, kind: Kind, namespace: str, name: str) -> Resource:
        self._check_open()
        key = one_key(kind, namespace, name)
        text = self._objects.get((kind, *key))
        if text is None:
            raise NotFound(f"{label(kind, *key)}: does not exist")
        return Resource(kind, load(text))

    async def list(self, kind: Kind, namespace: str | None = None) -> Listing:
        self._check_open()
        wanted = None if namespace is None else kept_in(kind, namespace)
        keys = sorted(key[1:] for key in self._objects if key[0] is kind and wanted in {None, key[1]})
        items = [Resource(kind, load(self._objects[kind, *key])) for key in keys]
        return Listing(items, str(self._revision))

    def watch(self, kind: Kind, since: str) -> AsyncGenerator[WatchEvent, None]:
        async def read(position: int) -> Batch:
            return self._read(kind, position)

        return follow(read, self._wakeups, since)

    async def apply(self, document: Mapping[str, Any], *, resource_version: str | None = None) -> Resource:
        draft = admit(document)
        return self._write(draft.kind, draft.key, applying(draft, resource_version))

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        key = one_key(kind, namespace, name)
        return self._write(kind, key, patching(kind, key, patch, resource_version))

    async def patch_status(
        self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        key = one_key(kind, namespace, name)
        return self._write(kind, key, patching_status(kind, key, status, resource_version))

    async def delete(self, kind: Kind, namespace: str, name: str) -> Resource | None:
        key = one_key(kind, namespace, name)
        self._write(kind, key, deleting(kind, key))
        return None

    async def record(self, event: Event) -> None:
        self._check_open()
        key = (event.about, event.reason, event.message, event.source)
        before = self._events.pop(key, None)
        count = event.count + (before.count if before else 0)
        self._events[key] = attrs.evolve(event, count=count, time=event.time or time.time())
        if len(self._events) > KEPT_EVENTS:
            del self._events[next(iter(self._events))]

    async def events(self, namespace: str | None = None) -> Sequence[Event]:
        self._check_open()
        return [event for event in self._events.values() if namespace in (None, event.namespace)]

    async def close(self) -> None:
        self._closed = True
        self._wakeups.ring()

    def _write(self, kind: Kind, key: ObjectKey, edit: Edit) -> Resource:
        self._check_open()
        text = self._objects.get((kind, *key))
        before = None if text is None else Resource(kind, load(text))
        change, document = outcome(edit, before)
        if change is None:
            return Resource(kind, document)
        revision = self._revision + 1
        text = dump(stamped(document, revision), label(kind, *key))
        self._revision = revision
        self._log.append(_Entry(revision, change, kind, text))
        if change is Change.DELETED:
            del self._objects[kind, *key]
        else:
            self._objects[kind, *key] = text
        self._wakeups.ring()
        return Resource(kind, load(text))

    def _read(self, kind: Kind, position: int) -> Batch:
        self._check_open()
        floor = self._revision - len(self._log)
        check_place(position, floor, self._revision)
        fresh = [e for e in itertools.islice(self._log, position - floor, None) if e.kind is kind][:BATCH]
        events = [WatchEvent(e.change, Resource(kind, load(e.text)), str(e.revision)) for e in fresh]
        more = len(events) == BATCH
        return Batch(events, fresh[-1].revision if more else self._revision, more)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store in memory is closed")
