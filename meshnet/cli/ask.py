"""Questions to the daemons of all nodes at once, in a bounded time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.cli.answers import ask
from meshnet.errors import DaemonUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT_S = 3.0
"""Of a question to all of them."""


@attrs.frozen
class Answers:
    """What daemons answered to one question.

    Attributes:
        told: their answers, by node.
        silent: why the others did not answer, by node.
        trouble: what is wrong where it is not known which nodes there are; ``""`` when it is known.
    """

    told: Mapping[str, dict[str, Any]] = attrs.field(factory=dict)
    silent: Mapping[str, str] = attrs.field(factory=dict)
    trouble: str = ""

    def rows(self, field: str) -> dict[str, list[dict[str, Any]]]:
        """Return by node the list `field` of each answer."""
        return {node: list(answer[field]) for node, answer in self.told.items()}

    def remark(self) -> str:
        """Return in a line who was not reached, and why the first of them was not; ``""`` when all were."""
        if self.trouble:
            return f"no daemon reached: {self.trouble}"
        if not self.silent:
            return ""
        nodes = sorted(self.silent)
        return f"not reached: {', '.join(nodes)} ({nodes[0]}: {self.silent[nodes[0]]})"


def ask_all(sockets: Mapping[str, Path], query: str) -> Answers:
    """Ask the daemons at these sockets, each called by the name that it has here; 3 s at most.

    Raises QueryError when a daemon answers that it will not.
    """
    if not sockets:
        return Answers()

    def one(socket: Path) -> dict[str, Any] | DaemonUnreachable:
        try:
            return ask(socket, query, timeout_s=TIMEOUT_S)
        except DaemonUnreachable as error:
            return error

    with ThreadPoolExecutor(len(sockets)) as threads:
        answers = dict(zip(sockets, threads.map(one, sockets.values()), strict=True))
    told = [answer for answer in answers.values() if not isinstance(answer, DaemonUnreachable)]
    silent = {name: str(answer) for name, answer in answers.items() if isinstance(answer, DaemonUnreachable)}
    return Answers({answer["node"]: answer for answer in told}, silent)
