"""A cluster: one control plane, and nodes that are machines of their own, up in seconds and gone without a trace."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.machine import cgroups, fabric, node_files, record
from tests.cluster.machine.addresses import network_of
from tests.cluster.machine.api_server import ApiServer
from tests.cluster.machine.boot import boot
from tests.cluster.machine.certificates import Authority
from tests.cluster.machine.commands import COMMAND_S, wait_for
from tests.cluster.machine.control_plane import PORT, ControlPlane
from tests.cluster.machine.daemons import Machine
from tests.cluster.machine.errors import CannotHereError, ClusterError
from tests.cluster.machine.images import write_images
from tests.cluster.machine.node import Node
from tests.cluster.machine.possible import why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        for node, running in imports:
            said = running.communicate(timeout=IMPORT_S)[1]
            if running.returncode:
                raise ClusterError(f"node {node.name} cannot import images: {said.strip()[-1000:]}")

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
        for booted in self.booted:
            booted.ended()
        for node in self.nodes.values():
            node.ended()


@contextmanager
def temporary_cluster(name: str, binaries: Binaries, nodes: int = 3) -> Iterator[Cluster]:
    """Have a cluster for the time of the block; it ends, too, when this process is killed."""
    cluster = up(name, binaries, nodes, lifeline=True)
    try:
        yield cluster
    finally:
        cluster.down()


def up(name: str, binaries: Binaries, nodes: int = 3, *, lifeline: bool = False) -> Cluster:
    """Bring a cluster up and wait until pods can be made on all its nodes.

    What is left of clusters that ended badly is taken away first.

    Args:
        name: of the cluster; two with different names do not touch each other.
        binaries: what it runs.
        nodes: how many.
        lifeline: it ends with this process.

    Raises:
        CannotHereError: this machine cannot have one.
        ClusterError: there is one of that name, or something of it did not come up.
    """
    reason = why_not()
    if reason:
        raise CannotHereError(reason)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cluster = _begin(name, binaries, nodes, listener.getsockname()[1], lifeline=lifeline)
        try:
            _boot(cluster, listener.fileno())
            _wait_ready(cluster)
        except BaseException:
            cluster.down()
            raise
    return cluster


def find(name: str, binaries: Binaries) -> Cluster:
    """Return a cluster that is up already, whoever brought it up.

    Raises:
        ClusterError: there is none.
    """
    known = record.read(name)
    if known is None or not record.first_process(name):
        raise ClusterError(f"cluster {name} is not up")
    return Cluster(name, known, _plane(name, binaries))


def down(name: str) -> None:
    """Take a cluster away, whoever brought it up, and whatever is left of it."""
    with record.alone():
        record.remove(name)


def _plane(name: str, binaries: Binaries) -> ControlPlane:
    return ControlPlane(record.directory_of(name) / "cp", binaries, audit=True)


def _begin(name: str, binaries: Binaries, nodes: int, port: int, *, lifeline: bool) -> Cluster:
    """Start the first process of a cluster and write down that there is one."""
    plane = _plane(name, binaries)
    with record.alone():
        record.sweep()
        directory = record.directory_of(name)
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            raise ClusterError(f"cluster {name} is up already: make cluster-down") from None
        first = fabric.begin(directory, lifeline=lifeline)
        groups = [str(top) for top in cgroups.tops(name)]
        known = record.Record(port, nodes, groups)
        record.write(name, known)
    plane.directory.mkdir()
    plane.make_keys()
    cluster = Cluster(name, known, plane)
    cluster.booted.append(first)
    return cluster


def _boot(cluster: Cluster, listener: int) -> None:
    """Start all machines; they find each other as they come up."""
    plane = cluster.plane
    network = network_of(0, len(cluster.nodes))
    machine = Machine("cp", str(plane.directory), plane.daemons(), listener, PORT, network=network)
    enter = cluster.fabric.below("net")
    cluster.booted.append(boot(machine, enter, prepare=lambda pid: cluster.fabric.plug("cp", pid)))
    for node in cluster.nodes.values():
        node_files.write_disk(node.directory / "disk", node.number, plane.binaries, cluster.authority)
        (node.directory / "root").mkdir()
        node.power_on()


def _wait_ready(cluster: Cluster) -> None:
    images = write_images(cluster.plane.directory)
    for node in cluster.nodes.values():
        node.wait_containerd()
    cluster.import_images(*images)
    cluster.wait_ready()
    for node in cluster.nodes.values():
        # nobody allocates these: each node has its own, and those who read the field are told
        pods = json.dumps({"spec": {"podCIDR": node.pod_network, "podCIDRs": [node.pod_network]}})
        patch = ("patch", "node", node.name, "--patch", pods)
        wait_for(lambda patch=patch: cluster.try_kubectl(*patch).returncode == 0, f"node {node.name} to register")  # type: ignore[misc]
    cluster.wait_nodes_ready()
    account = ("get", "serviceaccount", "default")
    wait_for(lambda: cluster.try_kubectl(*account).returncode == 0, "service account default/default")
