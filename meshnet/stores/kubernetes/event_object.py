"""Events as the core API has them, so that `kubectl describe` and `kubectl get events` show them: pure functions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.model.resource import API_VERSION, DEFAULT_NAMESPACE, Kind
from meshnet.model.timestamps import seconds_of, stamp
from meshnet.stores.base import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OURS = {"app.kubernetes.io/managed-by": "meshnet"}
"""Label of our events, for finding them among all others."""

LONGEST = 1024
"""Characters of a message; the API takes no longer note."""

_API_VERSIONS = {kind.value: API_VERSION for kind in Kind} | {"Pod": "v1", "Node": "v1"}


@attrs.frozen
class About:
    """Which object an event is about, out of ``Topology default/r1``."""

    kind: str
    namespace: str
    name: str

    @classmethod
    def read(cls, text: str) -> About:
        kind, _, where = text.partition(" ")
        namespace, _, name = where.rpartition("/")
        return cls(kind, namespace, name)

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}".rstrip()

    @property
    def event_namespace(self) -> str:
        """Where events about it are."""
        return self.namespace or DEFAULT_NAMESPACE

    @property
    def reference(self) -> dict[str, str]:
        """The fields that say which object it is, without those that are empty."""
        fields = {"kind": self.kind, "namespace": self.namespace, "name": self.name}
        return {field: value for field, value in fields.items() if value}


def event_object(event: Event, name: str, uid: str) -> dict[str, Any]:
    """Return a new event for the API; `uid` is of the object that it is about, ``""`` when unknown."""
    about = About.read(event.about)
    component, _, host = event.source.partition(" ")
    reference = {"apiVersion": _API_VERSIONS.get(about.kind, ""), **about.reference, "uid": uid}
    told = stamp(event.time or time.time())
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": about.event_namespace, "labels": OURS},
        "involvedObject": {field: value for field, value in reference.items() if value},
        "type": event.type,
        "reason": event.reason,
        "message": shortened(event.message),
        "source": {"component": component, "host": host},
        "reportingComponent": component,
        "reportingInstance": host,
        "count": event.count,
        "firstTimestamp": told,
        "lastTimestamp": told,
    }


def shortened(message: str) -> str:
    """Return a message as long as may be."""
    return message if len(message) <= LONGEST else message[: LONGEST - 1] + "…"


def folded(objects: Iterable[Mapping[str, Any]]) -> Sequence[Event]:
    """Return what events of the API tell, each thing once, the least recently recorded first.

    A daemon that was restarted begins a new object for what it told before.
    """
    found: dict[tuple[str, str, str, str], Event] = {}
    for item in sorted(objects, key=lambda item: int(item["metadata"]["resourceVersion"])):
        event = _event(item)
        key = (event.about, event.reason, event.message, event.source)
        before = found.pop(key, None)
        found[key] = attrs.evolve(event, count=event.count + before.count) if before else event
    return list(found.values())


def _event(item: Mapping[str, Any]) -> Event:
    involved, source = item.get("involvedObject") or {}, item.get("source") or {}
    about = About(involved.get("kind") or "", involved.get("namespace") or "", involved.get("name") or "")
    told = item.get("lastTimestamp")
    return Event(
        about=str(about),
        type=item.get("type") or "",
        reason=item.get("reason") or "",
        message=item.get("message") or "",
        source=f"{source.get('component') or ''} {source.get('host') or ''}".strip(),
        count=item.get("count") or 1,
        time=seconds_of(told) if told else 0.0,
    )
