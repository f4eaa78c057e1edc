"""Bringing a cluster up, from nothing to where pods can be made on all its nodes."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.cluster.machine import cgroups, fabric, logs, node_files, record
from tests.cluster.machine.addresses import network_of
from tests.cluster.machine.boot import boot
from tests.cluster.machine.cluster import Cluster, down, find, plane_of
from tests.cluster.machine.commands import wait_for
from tests.cluster.machine.control_plane import PORT
from tests.cluster.machine.daemons import Machine
from tests.cluster.machine.errors import CannotHereError, ClusterError
from tests.cluster.machine.images import write_images
from tests.cluster.machine.possible import why_not, why_not_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.binaries import Binaries
    from tests.cluster.machine.boot import Booted


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
        ClusterError: there is one of that name, or something of it did not come up; the text has the ends of its logs.
    """
    reason = why_not()
    if reason:
        raise CannotHereError(reason)
    if reason := why_not_now(nodes):
        raise ClusterError(reason)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = _begin(name, listener.getsockname()[1], nodes, lifeline=lifeline)
        cluster: Cluster | None = None
        try:
            cluster = _make(name, binaries, first)
            _boot(cluster, listener.fileno())
            _wait_ready(cluster)
        except BaseException as error:
            said = logs.ends(record.directory_of(name))
            down(name)
            (cluster or first).ended()
            if isinstance(error, ClusterError):
                raise ClusterError(f"{error}{said}") from error
            raise
    return cluster


def _begin(name: str, port: int, nodes: int, *, lifeline: bool) -> Booted:
    """Start the first process of a cluster and write down that there is one."""
    with record.alone():
        record.sweep()
        directory = record.directory_of(name)
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            raise ClusterError(f"cluster {name} is up already: make cluster-down") from None
        first = fabric.begin(directory, lifeline=lifeline)
        record.write(name, record.Record(port, nodes, [str(top) for top in cgroups.tops(name)]))
    return first


def _make(name: str, binaries: Binaries, first: Booted) -> Cluster:
    """Make what the machines of a cluster trust each other by."""
    plane = plane_of(name, binaries)
    plane.directory.mkdir()
    plane.make_keys()
    cluster = find(name, binaries)
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
