"""How far the links of a lab are: asked of the daemons, one short question a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshnet.lab.node import Node
    from meshnet.model.topology import PodKey


@attrs.frozen
class Summary:
    """Endpoints of a lab, counted.

    Attributes:
        up: patched; down: unplugged because their Topology says so.
        pending, failed: not as they should be, and may still become so.
        silent: nodes whose daemon did not answer.
    """

    up: int = 0
    down: int = 0
    pending: int = 0
    failed: int = 0
    silent: tuple[str, ...] = ()

    def settled(self, expected: int) -> bool:
        """Whether all `expected` endpoints are as their Topologies say."""
        return not self.silent and self.up + self.down >= expected and not self.pending and not self.failed


def summarize(nodes: Iterable[Node]) -> Summary:
    """Ask every daemon for its counts."""
    counts = dict.fromkeys(("up", "down", "pending", "failed"), 0)
    silent = []
    for node in nodes:
        try:
            answer = node.ask("summary")
        except MeshnetError:
            silent.append(node.name)
            continue
        for name in counts:
            counts[name] += int(answer.get(name, 0))
    return Summary(**counts, silent=tuple(silent))


def expected_endpoints(topologies: Iterable[Mapping[str, Any]], running: set[PodKey]) -> int:
    """Return how many endpoints the running pods declare."""
    return sum(
        len((document.get("spec") or {}).get("links") or ())
        for document in topologies
        if (document["metadata"]["namespace"], document["metadata"]["name"]) in running
    )
