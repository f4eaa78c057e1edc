"""Ends on nodes that their peers call dead: nobody there can tell, and what stands in the store is from before."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from meshnet.cli.links import End

NODE_LOST = "NodeLost"
WHOLE = ("Up", "Down")
"""States of an end that has its peer's word: their nodes hear each other."""


def with_losses(ends: Sequence[End], reached: Collection[str]) -> list[End]:
    """Return the ends, as Failed those that are on a node which is dead to its peers.

    An end is lost when the other end of its link says so of its node, or when its node was not reached here either and
    all others that have links to it say so. What a daemon that was not reached wrote before is not held against a node
    that answers: if the end there is whole, so is the other. Where each end says so of the other's node, that is lost
    which more nodes miss: the other end keeps its daemon's own words, which have the address, and so do both where as
    many do.

    Args:
        ends: of all Topologies, each as it is known now.
        reached: nodes whose daemons answered.
    """
    pairs = _pairs(ends)
    dead = _dead_nodes(ends, pairs)
    found = []
    for end in ends:
        other = pairs.get(_place(end))
        gone = end.node in dead and end.node not in reached
        called_so = other is not None and _is_called_lost(end, other, reached, dead)
        found.append(_lost(end, other) if gone or called_so else _heard(end, other, reached))
    return found


def _is_called_lost(end: End, other: End, reached: Collection[str], dead: Mapping[str, Collection[str]]) -> bool:
    if not end.node or not _says_lost(other) or (end.node in reached and other.node not in reached):
        return False
    return not _says_lost(end) or len(dead.get(end.node, ())) > len(dead.get(other.node, ()))


def _place(end: End) -> tuple[str, str, str]:
    return end.namespace, end.pod, end.interface


def _pairs(ends: Iterable[End]) -> Mapping[tuple[str, str, str], End]:
    """Return by place the other end of its link, where that is on another node."""
    links: defaultdict[Any, list[End]] = defaultdict(list)
    for end in ends:
        links[end.link].append(end)
    found = {}
    for together in links.values():
        if len(together) == 2 and together[0].node != together[1].node:
            a, b = together
            found[_place(a)], found[_place(b)] = b, a
    return found


def _dead_nodes(ends: Iterable[End], pairs: Mapping[tuple[str, str, str], End]) -> Mapping[str, Collection[str]]:
    """Return the nodes that are dead to every end elsewhere that has one of theirs at its other end, with its node."""
    told: defaultdict[str, dict[str, bool]] = defaultdict(dict)
    for end in ends:
        other = pairs.get(_place(end))
        if other is not None and end.node and other.node:
            told[other.node][end.node] = _says_lost(end) and told[other.node].get(end.node, True)
    return {node: opinions for node, opinions in told.items() if all(opinions.values())}


def _says_lost(end: End | None) -> bool:
    return end is not None and bool(end.node) and end.entry.get("reason") == NODE_LOST


def _heard(end: End, other: End | None, reached: Collection[str]) -> End:
    """Return an end that calls a node lost which has heard its daemon since, as that has it."""
    if end.node in reached or not _says_lost(end) or other is None:
        return end
    if other.node not in reached or other.state not in WHOLE:
        return end
    entry = {field: value for field, value in end.entry.items() if field not in ("reason", "message")}
    return attrs.evolve(end, entry=entry | {"state": other.state})


def _lost(end: End, other: End | None) -> End:
    message = f"node {end.node}, which runs {end.namespace}/{end.pod}, does not answer its peers"
    if other is not None and _says_lost(other):
        message = f"node {other.node} says: {other.entry.get('message', '')}"
    return attrs.evolve(end, entry={**end.entry, "state": "Failed", "reason": NODE_LOST, "message": message})
