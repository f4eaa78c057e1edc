"""A lab: its store and its daemons are in its box, which the command enters."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from meshnet.cli.ask import Answers, ask_all
from meshnet.cli.targets.base import Target
from meshnet.errors import DaemonUnreachable, MeshnetError
from meshnet.lab.enter import enter_box
from meshnet.lab.places import CONTROL_SOCKET, RUN
from meshnet.lab.record import find_lab

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from meshnet.cli.checks.finding import Finding
    from meshnet.lab.record import LabRecord

SOCKET = "meshnetd.sock"
OF_THE_LAB = ("daemon", "uplink", "uplink_state")
"""What a lab's supervisor tells of a node, beside what the node itself does."""


class Lab(Target):
    """A lab of this user.

    Args:
        name: its own.
        record: how to enter its box; None when this process is in it.
    """

    store_url = f"sqlite:{RUN}/store.db"

    def __init__(self, name: str, record: LabRecord | None) -> None:
        self.name = f"lab {name}"
        self._record = record

    @classmethod
    def running(cls, name: str | None) -> Lab:
        """Return the lab of that name, or the one that runs. Raises UsageError when none or several do."""
        record = find_lab(name)
        return cls(record.name, record)

    def enter(self) -> None:
        """Move this process, which has one thread, into the box. Raises MeshnetError when the lab has ended."""
        if self._record is not None:
            enter_box(self._record)
            self._record = None

    def ask(self, query: str) -> Answers:
        self.enter()
        return ask_all(self._sockets(), query)

    def look(self) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(1.0)
            try:
                sock.connect(str(CONTROL_SOCKET))
            except ConnectionRefusedError as error:
                raise DaemonUnreachable(f"{self.name}: it has ended") from error
            except OSError:
                return  # it is only beginning, or very busy

    def about_nodes(self) -> Mapping[str, Mapping[str, Any]]:
        from meshnet.lab.control import ask_lab  # noqa: PLC0415 - only in a lab

        self.enter()
        status, _ = ask_lab("status")
        return {node["name"]: {field: node[field] for field in OF_THE_LAB} for node in status["nodes"]}

    def findings(self) -> Sequence[Finding]:
        from meshnet.cli.checks.local import check_local  # noqa: PLC0415 - for doctor alone
        from meshnet.cli.checks.node import check_node, unreachable  # noqa: PLC0415

        # first the machine: once in the box, this is another one's file system
        local = check_local()
        try:
            self.enter()
            sockets = self._sockets()
        except (MeshnetError, OSError) as error:
            return [*local, unreachable(str(error), "meshnet lab down, then up again")]
        return [*local, *check_node(self, list(sockets.values())), *self._pods()]

    def _pods(self) -> Sequence[Finding]:
        from meshnet.cli.checks.pods import check_pods  # noqa: PLC0415 - for doctor alone
        from meshnet.lab.control import ask_lab  # noqa: PLC0415

        try:
            status, _ = ask_lab("status")
        except MeshnetError:
            return []  # it is only starting
        return check_pods(status["pods"])

    def _sockets(self) -> dict[str, Path]:
        nodes = RUN / "nodes"
        if not nodes.exists():  # it is only starting
            return {}
        return {path.name: path / SOCKET for path in sorted(nodes.iterdir())}
