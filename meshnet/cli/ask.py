"""Questions to the daemons of all nodes at once, in a bounded time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from meshnet.cni.client import ask
from meshnet.errors import DaemonUnreachable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMEOUT_S = 3.0


def ask_all(sockets: Sequence[Path], query: str) -> dict[str, dict[str, Any]]:
    """Return the answers of all daemons that could be reached, by the name of their node; 3 s at most.

    Raises QueryError when a daemon answers that it will not.
    """
    if not sockets:
        return {}

    def one(socket: Path) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = ask(socket, query, timeout_s=TIMEOUT_S)
        except DaemonUnreachable:
            return None
        return answer

    with ThreadPoolExecutor(len(sockets)) as threads:
        answers = [answer for answer in threads.map(one, sockets) if answer is not None]
    return {str(answer["node"]): answer for answer in answers}
