"""Whether the kernel has room for all neighbours of a lab: its tables are for all namespaces together."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshnet.model.topology import LOCALHOST, PodKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SYSCTL = Path("/proc/sys")
FAMILIES = ("ipv4", "ipv6")


def notes_for(topologies: Iterable[Mapping[str, Any]], placement: Mapping[PodKey, str], underlay: str) -> Iterator[str]:
    """Yield a sentence when there is too little room for all pods of a lab that talk at once over their links.

    Args:
        topologies: valid documents, each with its namespace.
        placement: node by (namespace, pod).
        underlay: the version of IP by which the nodes reach each other.
    """
    taken = _neighbours(topologies, placement, underlay)
    small = [family for family in FAMILIES if taken[family] > _room(family)]
    if small:
        told = ", ".join(f"{_setting(family)} is {_room(family):.0f}" for family in small)
        most = max(taken[family] for family in small)
        yield f"{told}: pods that all talk at once, and the nodes, need {most}, or do not find each other: raise it"


def _setting(family: str) -> str:
    return f"net.{family}.neigh.default.gc_thresh3"


def _room(family: str) -> float:
    """Return how many neighbours the machine has room for; in a container that is not seen, and counts as enough."""
    try:
        return int((SYSCTL / _setting(family).replace(".", "/")).read_text())
    except (OSError, ValueError):
        return math.inf


def _neighbours(
    topologies: Iterable[Mapping[str, Any]], placement: Mapping[PodKey, str], underlay: str
) -> Counter[str]:
    """Count by version of IP: each end of a link has its peer, and each node those that links join it to."""
    found: Counter[str] = Counter()
    joined: set[tuple[str, str]] = set()
    for topology in topologies:
        namespace, name = topology["metadata"]["namespace"], topology["metadata"]["name"]
        here = placement.get((namespace, name))
        for link in (topology.get("spec") or {}).get("links") or ():
            there = placement.get((namespace, link["peer_pod"]))
            if here is None or there is None or link["peer_pod"] == LOCALHOST:
                continue
            found.update(FAMILIES)
            if here != there:
                joined.add((here, there))
    found[underlay] += len(joined)
    return found
