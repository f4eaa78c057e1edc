"""The first process of a cluster, whose network namespace is the wire between the machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cluster.machine.boot import Booted, boot
from tests.cluster.machine.commands import attempt, run
from tests.cluster.machine.daemons import Machine
from tests.cluster.machine.network import INTERFACE
from tests.cluster.machine.record import FABRIC

if TYPE_CHECKING:
    from pathlib import Path

_BRIDGE = "br0"


def begin(directory: Path, *, lifeline: bool) -> Booted:
    """Start a cluster's first process: every machine's processes are below it, and end with it.

    Args:
        directory: of the cluster.
        lifeline: it ends with this process.
    """
    place = directory / FABRIC
    place.mkdir()
    machine = Machine(FABRIC, str(place), (), lifeline=lifeline, network={"bridge": _BRIDGE})
    return boot(machine, ["unshare", "--net", "--pid", "--fork", "--kill-child"])


@dataclass(frozen=True)
class Fabric:
    """A bridge that all machines are plugged into.

    Attributes:
        pid: of the cluster's first process.
    """

    pid: int

    def below(self, *namespaces: str) -> list[str]:
        """Return the command that makes namespaces for a machine below the cluster's first process."""
        process = [f"--{name}" for name in namespaces]
        return [
            "nsenter",
            f"--target={self.pid}",
            "--pid",
            "--",
            "unshare",
            *process,
            "--pid",
            "--fork",
            "--kill-child",
        ]

    def plug(self, name: str, pid: int) -> None:
        """Give a machine its interface.

        Args:
            name: of the machine, and of the bridge's port.
            pid: of the machine's first process.
        """
        self.unplug(name)
        peer = ("peer", "name", INTERFACE, "netns", str(pid))
        run([*self._here(), "ip", "link", "add", name, "type", "veth", *peer])
        run([*self._here(), "ip", "link", "set", name, "master", _BRIDGE, "up"])

    def unplug(self, name: str) -> None:
        """Take a machine's interface away, where it has one."""
        attempt([*self._here(), "ip", "link", "delete", name])

    def cut(self, name: str) -> None:
        """Cut a machine off from all others; its own interface stays, without carrier."""
        run([*self._here(), "ip", "link", "set", name, "down"])

    def mend(self, name: str) -> None:
        """Undo `cut`."""
        run([*self._here(), "ip", "link", "set", name, "up"])

    def _here(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--net", "--"]
