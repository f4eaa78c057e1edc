"""``meshnet get topologies``: what the store holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence


def read(query: Query) -> list[Row]:
    return [dict(one.document) for one in query.objects(Kind.TOPOLOGY) if query.wants(one.name)]


def cells(row: Row) -> Sequence[str]:
    status = row.get("status") or {}
    links = (row.get("spec") or {}).get("links") or ()
    up = sum(1 for link in status.get("links") or () if link.get("state") == "Up")
    ready: Row = next((c for c in status.get("conditions") or () if c.get("type") == "Ready"), {})
    word = {"True": "yes", "False": "no"}.get(ready.get("status", ""), "")
    told = ": ".join(filter(None, (ready.get("reason"), ready.get("message")))) if word != "yes" else ""
    metadata = row["metadata"]
    return (metadata["namespace"], metadata["name"], status.get("node") or "", f"{up}/{len(links)}", word, told)


VIEW = View(
    read,
    [Column(title) for title in ("NAMESPACE", "NAME", "NODE", "UP", "READY", "REASON")],
    cells,
)
