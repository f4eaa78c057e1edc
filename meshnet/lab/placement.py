"""Which node runs which pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from meshnet.errors import UsageError
from meshnet.model.rules import is_subdomain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.lab.podspec import PodSpec
    from meshnet.model.topology import PodKey

MOST_NODES = 250
LONGEST_NODE_NAME = 63
"""A node is a directory with a socket."""


@attrs.frozen
class Placement:
    """The nodes of a lab and where its pods go.

    Attributes:
        nodes: names, in order.
        of: node by (namespace, pod).
        notes: wishes that could not be met.
    """

    nodes: tuple[str, ...]
    of: Mapping[PodKey, str]
    notes: tuple[str, ...] = ()


def place(pods: Sequence[PodSpec], count: int | None = None, wishes: Mapping[str, str] | None = None) -> Placement:
    """Place pods round robin on `count` nodes (``n1``, ``n2``, ...), except those that a wish or manifest places.

    Without a count the nodes are those that the manifests name, or else one.

    Args:
        pods: in the order of the files.
        count: how many nodes, or None.
        wishes: node by pod, as ``POD`` or ``NAMESPACE/POD``; they go before the manifests.

    Raises UsageError when a wish names a pod or node that there is not, or the count is out of range.
    """
    if count is not None and not 1 <= count <= MOST_NODES:
        raise UsageError(f"--nodes {count}: must be from 1 to {MOST_NODES}")
    named = [node for node in dict.fromkeys(pod.node for pod in pods) if node is not None and _usable(node)]
    total = count if count is not None else max(1, len(named))
    if total > MOST_NODES:
        raise UsageError(
            f"the manifests name {total} nodes (nodeName): a lab has at most {MOST_NODES}; --nodes N: fewer"
        )
    nodes = _names(named, total)
    wanted = _wanted(pods, wishes or {}, nodes)
    of: dict[PodKey, str] = {}
    notes: dict[str, None] = {}
    turn = 0
    for pod in pods:
        node = wanted.get(pod.key) or (pod.node if pod.node in nodes else None)
        if node is None:
            if pod.node is not None:
                notes[f"node {pod.node} is none of this lab's ({', '.join(nodes)}): its pods go round robin"] = None
            node = nodes[turn % total]
            turn += 1
        of[pod.key] = node
    return Placement(nodes, of, tuple(notes))


def _usable(node: str) -> bool:
    return is_subdomain(node, LONGEST_NODE_NAME)


def _names(named: Sequence[str], total: int) -> tuple[str, ...]:
    """Name `total` nodes: as the manifests do, and the rest by number."""
    names = list(named[:total])
    number = 0
    while len(names) < total:
        number += 1
        if f"n{number}" not in names:
            names.append(f"n{number}")
    return tuple(names)


def _wanted(pods: Sequence[PodSpec], wishes: Mapping[str, str], nodes: Sequence[str]) -> dict[PodKey, str]:
    wanted = {}
    for name, node in wishes.items():
        found = [pod.key for pod in pods if name in {pod.name, str(pod)}]
        if not found:
            raise UsageError(f"--place {name}={node}: no pod {name!r} in these files")
        if len(found) > 1:
            raise UsageError(f"--place {name}={node}: {name!r} is in several namespaces: say NAMESPACE/{name}")
        if node not in nodes:
            raise UsageError(f"--place {name}={node}: no node {node!r} (nodes: {', '.join(nodes)})")
        wanted[found[0]] = node
    return wanted
