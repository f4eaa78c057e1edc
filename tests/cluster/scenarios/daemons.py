"""Taking the daemon of one node away, in the ways that it can go."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.cluster.installation import NAMESPACE, daemon_of, meshnet
from tests.cluster.machine.commands import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.machine.node import Node

COMMAND = "meshnet daemon"
WITHOUT = "scenario/without-daemon"
"""The label of nodes that shall have none, by what is installed for scenarios."""


def process_of(node: Node) -> str:
    """Return the process id of a node's daemon, as seen there, or ``""``."""
    found = node.try_run("pgrep", "--oldest", "--full", f"python3 .*{COMMAND}$")
    return found.stdout.strip()


def kill(node: Node) -> None:
    """Have a node's daemon killed, and wait until another one has its place."""
    before = process_of(node)
    node.run("kill", "-KILL", before)
    wait_for(lambda: process_of(node) not in {"", before}, f"another daemon on {node.name}")


def delete(cluster: Cluster, node: str) -> None:
    """Delete the pod of a node's daemon, and wait until the next one is ready."""
    before = daemon_of(cluster, node)
    meshnet(cluster, "delete", "pod", before, "--timeout=60s")
    wait_ready(cluster, node)


def wait_ready(cluster: Cluster, node: str) -> None:
    """Wait until the daemon's pod on a node is there, and ready."""
    wait_for(lambda: is_there(cluster, node), f"a daemon's pod on {node}")
    pod = f"pod/{daemon_of(cluster, node)}"
    meshnet(cluster, "wait", "--for=condition=Ready", pod, "--timeout=120s")


def is_there(cluster: Cluster, node: str) -> bool:
    words = ("pods", f"--namespace={NAMESPACE}", "--selector=name=meshnet", f"--field-selector=spec.nodeName={node}")
    return any("deletionTimestamp" not in each["metadata"] for each in cluster.get(*words)["items"])


@contextmanager
def away(cluster: Cluster, node: str) -> Iterator[None]:
    """Have a node without a daemon for the time of the block."""
    pod = daemon_of(cluster, node)
    cluster.kubectl("label", "node", node, f"{WITHOUT}=")
    try:
        meshnet(cluster, "wait", f"pod/{pod}", "--for=delete", "--timeout=60s")
        yield
    finally:
        cluster.kubectl("label", "node", node, f"{WITHOUT}-")
        wait_ready(cluster, node)
