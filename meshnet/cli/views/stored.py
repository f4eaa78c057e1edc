"""``meshnet get topologies|events``: what the store holds."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import attrs

from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.stores.base import Event, Store


def read_topologies(query: Query) -> list[Row]:
    return [dict(one.document) for one in query.objects(Kind.TOPOLOGY) if query.wants(one.name)]


def topology_cells(row: Row) -> Sequence[str]:
    status = row.get("status") or {}
    links = (row.get("spec") or {}).get("links") or ()
    up = sum(1 for link in status.get("links") or () if link.get("state") == "Up")
    ready: Row = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
    word = {"True": "yes", "False": "no"}.get(ready.get("status", ""), "")
    told = ": ".join(filter(None, (ready.get("reason"), ready.get("message")))) if word != "yes" else ""
    metadata = row["metadata"]
    return (metadata["namespace"], metadata["name"], status.get("node") or "", f"{up}/{len(links)}", word, told)


def read_events(query: Query) -> list[Row]:
    async def read(store: Store) -> Sequence[Event]:
        return await store.events()

    found = [attrs.asdict(event) for event in query.target.with_store(read)]
    return [row for row in found if _concerns(row["about"], query)]


def _concerns(about: str, query: Query) -> bool:
    """Tell whether an event about ``Topology default/r1`` or ``MeshNode n1`` is asked for."""
    namespace, slash, name = about.rpartition(" ")[2].rpartition("/")
    return query.wants(name, namespace if slash else None)


def event_cells(row: Row) -> Sequence[str]:
    when = datetime.datetime.fromtimestamp(row["time"]).astimezone()
    told = (row["type"], row["reason"], row["about"], row["source"], str(row["count"]), row["message"])
    return when.strftime("%H:%M:%S"), *told


TOPOLOGIES = View(
    read_topologies,
    [Column(title) for title in ("NAMESPACE", "NAME", "NODE", "UP", "READY", "REASON")],
    topology_cells,
)
EVENTS = View(
    read_events,
    [Column(title) for title in ("TIME", "TYPE", "REASON", "ABOUT", "SOURCE", "COUNT", "MESSAGE")],
    event_cells,
)
