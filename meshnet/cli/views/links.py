"""``meshnet get links``: every cable, by both its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.cli.links import ends, join
from meshnet.cli.place import find_end, parse_place
from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from meshnet.cli.links import End
    from meshnet.model.topology import Endpoint

CARRIER = {True: "yes", False: "no"}


def read(query: Query) -> list[Row]:
    name = query.name or ""
    place = parse_place(name, query.namespace or query.target.namespace) if ":" in name else None
    if place and query.namespace:
        query = attrs.evolve(query, namespace=place.namespace)
    every = ends(query.objects(Kind.TOPOLOGY))
    wanted = _wanted(query.name, place, every)
    # all of them are joined: other links of its node tell whether that is lost
    return [row for row in join(every, query.ask("links").rows("links")) if wanted(row)]


def _wanted(pod: str | None, place: Endpoint | None, every: Sequence[End]) -> Callable[[Row], bool]:
    """Return what tells whether a link is asked for: by an end, by a pod, or any. Raises NotFound for no end."""
    if place is None:
        return lambda row: pod is None or any(end["pod"] == pod for end in row["endpoints"])
    end = find_end(every, place)
    link, own = (end.namespace, end.uid), (end.pod, end.interface)

    def is_it(row: Row) -> bool:
        places = [(one["pod"], one["interface"]) for one in row["endpoints"]]
        return (row["namespace"], row["uid"]) == link and own in places

    return is_it


def cells(row: Row) -> Sequence[str]:
    a, *others = row["endpoints"]
    b = others[0] if others else {}
    told, why = ": ".join(filter(None, (row.get("reason"), row.get("message")))), row["why"] or ""
    return (
        row["namespace"],
        str(row["uid"]),
        _place(a),
        _place(b) if others else f"(node) {row.get('parent', '')}",
        row["driver"] or "",
        row["state"],
        _pair(row, _carrier),
        _pair(row, lambda end: str(end.get("mtu") or "")),
        _packets(row, "rx_packets"),
        _pair(row, lambda end: end.get("node") or ""),
        _pair(row, lambda end: ",".join(end.get("addresses") or ())),
        "; ".join(filter(None, (told, why))) if row["state"] == "Up" else told or why,
    )


def _carrier(end: Mapping[str, Any]) -> str:
    return "?" if end.get("stale") else CARRIER.get(end.get("carrier", ""), "")


def _place(end: Mapping[str, Any]) -> str:
    return f"{end['pod']}:{end['interface']}" if end else ""


def _packets(row: Row, counter: str) -> str:
    """Return what each end has counted: two that are equal by chance are no one thing that both have."""
    counted = [(end.get("counters") or {}).get(counter) for end in row["endpoints"]]
    words = ["-" if number is None else str(number) for number in counted]
    return " / ".join(words) if set(words) != {"-"} else "-"


def _pair(row: Row, of: Callable[[Mapping[str, Any]], str]) -> str:
    """Return both ends' words, once when they are the same."""
    words = [of(end) or "-" for end in row["endpoints"]]
    return words[0] if len(set(words)) == 1 else " / ".join(words)


VIEW = View(
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
