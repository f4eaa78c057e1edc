"""A node, or a store alone: what the environment names, as it does for a daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.cli.ask import Answers, ask_all
from meshnet.cli.relay import socket_of
from meshnet.cli.targets.base import Target
from meshnet.presence import exists

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.cli.checks.finding import Finding


class Node(Target):
    """A node, by its store and the socket of its daemon.

    Args:
        store_url: as MESHNET_STORE; ``""`` when it is not known.
        socket: of the daemon; None when it is not known.
    """

    name = "node"
    no_store = "no store to ask: set MESHNET_STORE as well, as the daemon has it"
    no_daemon = "name its socket by MESHNET_SOCKET"

    def __init__(self, store_url: str, socket: Path | None) -> None:
        self.store_url = store_url
        self._sockets = {"": socket} if socket else {}

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Node:
        """Return the node that a daemon with this environment has."""
        socket = Path(socket_of(environ))
        known = environ.get("MESHNET_SOCKET") or _may_be_there(socket)
        return cls(environ.get("MESHNET_STORE", ""), socket if known else None)

    def ask(self, query: str) -> Answers:
        answers = ask_all(self._sockets, query)
        # The name of a node is known when its daemon answers, and who does not has none.
        return Answers(answers.told, trouble="; ".join(answers.silent.values()))

    def findings(self) -> Sequence[Finding]:
        from meshnet.cli.checks.local import check_local  # noqa: PLC0415 - for doctor alone
        from meshnet.cli.checks.node import check_node  # noqa: PLC0415

        return [*check_local(), *check_node(self, list(self._sockets.values()))]


def _may_be_there(path: Path) -> bool:
    """Tell whether something is there; where that cannot be seen, who asks it is told why not."""
    try:
        return exists(path)
    except OSError:
        return True
