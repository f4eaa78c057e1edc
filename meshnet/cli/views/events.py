"""``meshnet get events``: what happened, as the store has it."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import attrs

from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.stores.base import Event, Store


def read(query: Query) -> list[Row]:
    async def stored(store: Store) -> Sequence[Event]:
        return await store.events(query.namespace)

    found = [attrs.asdict(event) for event in query.target.with_store(stored)]
    return [row for row in found if query.wants(_name(row["about"]))]


def _name(about: str) -> str:
    """Return the name in ``Topology default/r1`` or ``MeshNode n1``."""
    return about.rpartition(" ")[2].rpartition("/")[2]


def cells(row: Row) -> Sequence[str]:
    when = datetime.datetime.fromtimestamp(row["time"]).astimezone()
    told = (row["type"], row["reason"], row["about"], row["source"], str(row["count"]), row["message"])
    return when.strftime("%H:%M:%S"), *told


VIEW = View(
    read,
    [Column(title) for title in ("TIME", "TYPE", "REASON", "ABOUT", "SOURCE", "COUNT", "MESSAGE")],
    cells,
)
