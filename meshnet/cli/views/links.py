"""``meshnet get links``: every cable, by both its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.cli.links import ends, join
from meshnet.cli.place import find_end, parse_place
from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CARRIER = {True: "yes", False: "no"}


def read(query: Query) -> list[Row]:
    every = ends(query.objects(Kind.TOPOLOGY))
    if query.name and ":" in query.name:
        link = find_end(every, parse_place(query.name, query.namespace or "default")).link
        every = [end for end in every if end.link == link]
    answers = {node: answer["links"] for node, answer in query.target.ask("links").items()}
    found = join(every, answers)
    if query.name and ":" not in query.name:
        found = [link for link in found if any(end["pod"] == query.name for end in link["endpoints"])]
    return found


def cells(row: Row) -> Sequence[str]:
    a, *others = row["endpoints"]
    b = others[0] if others else {}
    told = ": ".join(filter(None, (row.get("reason"), row.get("message"))))
    return (
        row["namespace"],
        str(row["uid"]),
        _place(a),
        _place(b) if others else f"(node) {row.get('parent', '')}",
        row["driver"] or "",
        row["state"],
        _pair(row, _carrier),
        _pair(row, lambda end: str(end.get("mtu") or "")),
        _pair(row, lambda end: _packets(end, "rx_packets")),
        _pair(row, lambda end: end.get("node") or ""),
        _pair(row, lambda end: ",".join(end.get("addresses") or ())),
        told or (row["why"] or ""),
    )


def _carrier(end: Mapping[str, Any]) -> str:
    return "?" if end.get("stale") else CARRIER.get(end.get("carrier", ""), "")


def _place(end: Mapping[str, Any]) -> str:
    return f"{end['pod']}:{end['interface']}" if end else ""


def _packets(end: Mapping[str, Any], counter: str) -> str:
    value = (end.get("counters") or {}).get(counter)
    return "" if value is None else str(value)


def _pair(row: Row, of: Callable[[Mapping[str, Any]], str]) -> str:
    """Return both ends' words, once when they are the same."""
    words = [of(end) or "-" for end in row["endpoints"]]
    return words[0] if len(set(words)) == 1 else " / ".join(words)


LINKS = View(
    read,
    [
        Column("NAMESPACE", wide=True),
        Column("UID", right=True),
        Column("A"),
        Column("B"),
        Column("DRIVER"),
        Column("STATE"),
        Column("CARRIER"),
        Column("MTU"),
        Column("RX PACKETS", wide=True),
        Column("NODE", wide=True),
        Column("ADDRESSES", wide=True),
        Column("WHY"),
    ],
    cells,
)
