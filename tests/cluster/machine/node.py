"""One node of a cluster: its power, its daemons, and commands on it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.machine import addresses, cgroups, control, node_files, running
from tests.cluster.machine.boot import SYSTEM_PATH, Booted, boot
from tests.cluster.machine.commands import COMMAND_S, attempt, run, wait_for
from tests.cluster.machine.daemons import Machine
from tests.cluster.machine.errors import ClusterError
from tests.cluster.machine.init import CONTROL

if TYPE_CHECKING:
    from tests.cluster.machine.binaries import Binaries
    from tests.cluster.machine.fabric import Fabric

_NAMESPACES = ("mount", "uts", "ipc", "net", "pid", "cgroup")
JOIN = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit; shift; done; shift; exec "$@"'
"""A shell that joins the control groups of the files before ``--``, and becomes the command after it."""


@dataclass
class Node:
    """A node of a cluster.

    Attributes:
        number: counted from 1.
        nodes: how many there are.
        directory: the node's; its ``log`` has what its daemons say.
        fabric: what it is plugged into.
        binaries: what it runs.
        groups: its cluster's control groups.
    """

    number: int
    nodes: int
    directory: Path
    fabric: Fabric
    binaries: Binaries
    groups: list[Path]
    booted: Booted | None = None

    @property
    def name(self) -> str:
        return node_files.node_name(self.number)

    @property
    def address(self) -> str:
        return addresses.node_address(self.number)

    @property
    def pod_network(self) -> str:
        return addresses.pods_of(self.number)

    @property
    def pid(self) -> int:
        """Of its first process, as seen here.

        Raises:
            ClusterError: it is off.
        """
        found = running.read(self.directory)
        if found is None:
            raise ClusterError(f"node {self.name} is off")
        return found.first.pid

    def power_on(self) -> None:
        """Boot it; with what its disk had when it went off."""
        programs = [str(self.binaries.kube_home), str(self.binaries.containerd_home)]
        joined = cgroups.make(self.groups, self.name)
        machine = Machine(
            self.name,
            str(self.directory),
            node_files.daemons(self.number, self.binaries),
            network=addresses.network_of(self.number, self.nodes),
            node={"cgroups": list(cgroups.hierarchies()), "programs": programs},
        )
        enter = self.fabric.below("mount", "uts", "ipc", "net", "cgroup", "propagation=private")
        command = ["sh", "-c", JOIN, "join", *map(str, joined), "--", *enter]
        self.booted = boot(machine, command, path=self._path, prepare=self._prepare)

    def power_off(self) -> None:
        """Pull its plug: every process of it is killed by the kernel, and nothing is told to anybody."""
        running.end([self.directory])
        self.ended()
        self.fabric.unplug(self.name)
        # what is left of the pods' would cost the next kubelet seconds each
        cgroups.remove([group / self.name for group in self.groups])

    def ended(self) -> None:
        """Take note that it has ended, whoever ended it."""
        if self.booted:
            self.booted.ended()
            self.booted = None

    def run(self, *words: str, stdin: str = "", timeout_s: float = COMMAND_S) -> str:
        """Run a command on the node, as its root, and return what it printed.

        Raises:
            ClusterError: it failed.
        """
        return run(self.command(*words), stdin=stdin, timeout_s=timeout_s)

    def try_run(self, *words: str, stdin: str = "", timeout_s: float = COMMAND_S) -> subprocess.CompletedProcess[str]:
        """Run a command on the node that may fail, and return how it ended."""
        return attempt(self.command(*words), stdin=stdin, timeout_s=timeout_s)

    def command(self, *words: str) -> list[str]:
        """Return the command here that runs a command there."""
        enter = ["nsenter", f"--target={self.pid}", *(f"--{name}" for name in _NAMESPACES), "--"]
        return [*enter, "env", "-i", f"PATH={self._path}", "HOME=/root", *words]

    def path(self, path: str) -> Path:
        """Return where a file of the running node is, as seen here. Absolute symbolic links on the way lead astray."""
        return Path(f"/proc/{self.pid}/root", path.lstrip("/"))

    def request(self, what: str, daemon: str) -> str:
        """Do something to ``kubelet``, ``containerd`` or ``proxy``: see `Supervisor.request`."""
        return control.ask(self.directory / CONTROL, what, daemon)

    def wait_containerd(self) -> None:
        wait_for(self.path(node_files.CONTAINERD_SOCKET).exists, f"containerd of {self.name}")

    def start_import(self, archive: Path) -> subprocess.Popen[str]:
        """Begin to import the images of an archive: what ``ctr`` says of it is on standard error."""
        command = self.command(str(self.binaries.ctr), "--namespace=k8s.io", "images", "import", "-")
        with archive.open("rb") as data:
            return subprocess.Popen(command, stdin=data, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def _prepare(self, pid: int) -> None:
        self.fabric.plug(self.name, pid)
        cgroups.settle(self.groups, self.name)

    @property
    def _path(self) -> str:
        return f"{self.binaries.containerd_home}:{self.binaries.kube_home}:{SYSTEM_PATH}"
