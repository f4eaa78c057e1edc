"""A cluster: one control plane, and nodes that are machines of their own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.machine import fabric, node_files, record
from tests.cluster.machine.api_server import ApiServer
from tests.cluster.machine.certificates import Authority
from tests.cluster.machine.commands import COMMAND_S
from tests.cluster.machine.control_plane import ControlPlane
from tests.cluster.machine.errors import ClusterError
from tests.cluster.machine.node import Node

if TYPE_CHECKING:
    from tests.cluster.machine.binaries import Binaries
    from tests.cluster.machine.boot import Booted

IMPORT_S = 300.0


class Cluster(ApiServer):
    """A cluster that runs, or just comes up; a client of it as its administrator.

    Attributes:
        name: its directory's, and its control groups'.
        nodes: by name: ``n1``, ``n2``, …
        fabric: the wire between them.
    """

    def __init__(self, name: str, known: record.Record, plane: ControlPlane) -> None:
        super().__init__(plane, Authority(plane.keys), known.port)
        directory = record.directory_of(name)
        groups = [Path(group) for group in known.groups]
        self.name = name
        self.fabric = fabric.Fabric(record.first_process(name))
        numbers = range(1, known.nodes + 1)
        places = {number: directory / node_files.node_name(number) for number in numbers}
        made = [Node(n, known.nodes, places[n], self.fabric, plane.binaries, groups) for n in numbers]
        self.nodes = {node.name: node for node in made}
        self.booted: list[Booted] = []

    def node(self, name: str) -> Node:
        """Return a node by its name.

        Raises:
            ClusterError: there is none.
        """
        if name not in self.nodes:
            raise ClusterError(f"no node {name} in cluster {self.name}: there are {', '.join(self.nodes)}")
        return self.nodes[name]

    def import_images(self, *archives: Path) -> None:
        """Import the images of archives on every node at once; pods of them say ``imagePullPolicy: Never``."""
        imports = [(node, node.start_import(archive)) for archive in archives for node in self.nodes.values()]
        said = [(node, running.communicate(timeout=IMPORT_S)[1], running.returncode) for node, running in imports]
        for node, text, code in said:
            if code:
                raise ClusterError(f"node {node.name} cannot import images: {text.strip()[-1000:]}")

    def install(self, kustomization: Path, *archives: Path) -> None:
        """Import images on every node and apply a kustomization: what a user does to install something."""
        self.import_images(*archives)
        self.apply_directory(kustomization)

    def wait_nodes_ready(self, *names: str) -> None:
        """Wait until nodes, by default all, are Ready."""
        names = names or tuple(self.nodes)
        self.kubectl("wait", "--for=condition=Ready", "node", *names, f"--timeout={COMMAND_S:g}s")

    def down(self) -> None:
        """Take it away with all that is of it."""
        down(self.name)
        self.ended()

    def ended(self) -> None:
        """Take note that it has ended, whoever ended it."""
        for booted in self.booted:
            booted.ended()
        for node in self.nodes.values():
            node.ended()


def find(name: str, binaries: Binaries) -> Cluster:
    """Return a cluster that is up already, whoever brought it up.

    Raises:
        ClusterError: there is none.
    """
    known = record.read(name)
    if known is None or not record.first_process(name):
        raise ClusterError(f"cluster {name} is not up")
    return Cluster(name, known, plane_of(name, binaries))


def down(name: str) -> None:
    """Take a cluster away, whoever brought it up, and whatever is left of it."""
    with record.alone():
        record.remove(name)


def plane_of(name: str, binaries: Binaries) -> ControlPlane:
    """Return the control plane of a cluster, there or not."""
    return ControlPlane(record.directory_of(name) / "cp", binaries, audit=True)
