"""Recording events: one object for what is told again and again, whose count rises."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import Conflict, InvalidObject, NotFound, StoreUnavailable
from meshnet.model.resource import Kind, Resource
from meshnet.model.timestamps import stamp
from meshnet.stores.kubernetes.event_object import OURS, About, event_object, folded
from meshnet.stores.kubernetes.request import MANAGER, MERGE_PATCH, Place, Request, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.stores.base import Event
    from meshnet.stores.kubernetes.calls import Calls
    from meshnet.stores.kubernetes.known import Known

KEPT = 1000
"""Events whose count can still rise; each is a few hundred bytes."""

_NO_NAME = re.compile(r"[^a-z0-9.-]")


@attrs.define
class _Series:
    """One thing that was told, perhaps often."""

    name: str = ""
    count: int = 0
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)


class Recorder:
    """Records events by creating and patching alone: so much, and no more, needs a daemon's role."""

    def __init__(self, calls: Calls, known: Known) -> None:
        self._calls = calls
        self._known = known
        self._told: OrderedDict[tuple[str, str, str, str], _Series] = OrderedDict()

    async def record(self, event: Event) -> None:
        """Tell the user. Raises StoreUnavailable."""
        key = (event.about, event.reason, event.message, event.source)
        series = self._told.setdefault(key, _Series())
        self._told.move_to_end(key)
        while len(self._told) > KEPT:
            self._told.popitem(last=False)
        try:
            async with series.lock:
                await self._write(event, series)
        except InvalidObject as error:  # its namespace is being deleted, for one
            raise StoreUnavailable(f"event about {event.about}: {error}") from error

    async def recorded(self, namespace: str) -> Sequence[Event]:
        """Return events, the least recently recorded first, of a namespace, or with ``""`` of all.

        Raises StoreUnavailable.
        """
        ours = ",".join(f"{name}={value}" for name, value in OURS.items())
        path = path_of("/api/v1", namespace, "events", labelSelector=ours)
        listing = await self._calls.send(Request("list", "events", "events about anything", path))
        return folded(listing["items"])

    async def _write(self, event: Event, series: _Series) -> None:
        count = series.count + event.count
        if series.name:
            with contextlib.suppress(NotFound):  # the server forgets events after an hour
                patch = {"count": count, "lastTimestamp": stamp(event.time or time.time())}
                await self._calls.send(_request("patch", event, series.name, patch))
                series.count = count
                return
        name = _name(event)
        document = event_object(event, name, await self._uid(event))
        with contextlib.suppress(Conflict):  # the name is nobody else's: it was created, and that answer lost
            await self._calls.send(_request("create", event, name, document))
        series.name, series.count = name, event.count

    async def _uid(self, event: Event) -> str:
        """Return the uid of what an event is about, asking for it only when it was never seen."""
        about = About.read(event.about)
        kind = next((kind for kind in Kind if kind.value == about.kind), None)
        uid = self._known.uid(about.kind, about.namespace, about.name)
        if uid or kind is None or not about.name:
            return uid
        with contextlib.suppress(NotFound):
            found = await self._calls.send(Place(kind, about.namespace, about.name).get())
            return self._known.seen(Resource(kind, found)).uid
        return ""


def _request(verb: str, event: Event, name: str, document: Mapping[str, Any]) -> Request:
    what = f"event about {event.about}"
    creates = verb == "create"
    namespace = About.read(event.about).event_namespace
    path = path_of("/api/v1", namespace, "events", "" if creates else name, fieldManager=MANAGER)
    content_type = "application/json" if creates else MERGE_PATCH
    return Request(verb, "events", what, path, name, document, content_type)


def _name(event: Event) -> str:
    """Return a name that no other event has, and that says whom it is about."""
    about = About.read(event.about)
    base = _NO_NAME.sub("-", (about.name or about.kind).lower()).strip(".-")[:200].strip(".-")
    return f"{base or 'meshnet'}.{secrets.token_hex(8)}"
