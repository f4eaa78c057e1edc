"""Nodes of a benchmark: a namespace and a real daemon each, joined by a bridge as the nodes of a lab are.

The bridge is in the benchmark's own namespace, which has no address on it. Pods begin on the node that their name
begins with: `n1-a`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from local_node import RUN, SETTLED_S, BenchNode, fill_store

from meshnet.lab.underlay import Underlay, make_bridge, prepare_node
from meshnet.lab.uplink import Cut, Uplink
from meshnet.netlink import Netlink, links, netns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from local_node import BenchPod

_LOOPBACK = 1
NODES = ("n1", "n2")
"""What there is unless more are asked for."""


class JoinedNode(BenchNode):
    """A node with an uplink.

    Args:
        number: of the node, from 1.
        underlay: that joins the nodes.
        box: a socket where the bridge is.
        bridge: its ifindex.
        settings: more environment for the daemon.

    Attributes:
        path: of its network namespace.
        address: by which the others reach it.
    """

    def __init__(self, number: int, underlay: Underlay, box: Netlink, bridge: int, **settings: str) -> None:
        name = f"n{number}"
        self._uplink = Uplink(name, number, underlay)
        self.address = self._uplink.address
        self.path = f"/run/netns/{name}"
        super().__init__(name, RUN / name, HOST_IP=self.address, **settings)
        netns.new_netns(self.path)
        self.fd = netns.open_netns(self.path)
        prepare_node(self.fd)
        self._uplink.connect(box, bridge, self.fd)

    def start_daemon(self) -> None:
        """Start the daemon in the node's namespace."""
        with netns.entered(self.fd):
            super().start_daemon()

    def set_cut(self, cut: Cut) -> None:
        """Cut the node off, or join it again."""
        self._uplink.set_cut(cut)

    def end(self) -> None:
        """End the daemon, and let go of the namespace."""
        with contextlib.suppress(AssertionError):
            self.kill_daemon()
        os.close(self.fd)
        netns.delete_netns(self.path)


class JoinedNodes:
    """All nodes, and the pods on them. `running` makes them.

    Attributes:
        nodes: by name.
        pods: that are attached, by name.
    """

    def __init__(self, nodes: Sequence[JoinedNode]) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.pods: dict[str, BenchPod] = {}
        self._moved: dict[str, str] = {}

    @classmethod
    @contextlib.contextmanager
    def running(
        cls, documents: Sequence[Mapping[str, Any]], count: int = len(NODES), **settings: str
    ) -> Iterator[Self]:
        """Start nodes with these topologies; they, and all their files, are gone at the end of the ``with``."""
        RUN.mkdir(parents=True)
        fill_store(documents)
        underlay = Underlay()
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, RUN)
            box = undo.enter_context(Netlink.open())
            bridge = make_bridge(box, underlay.mtu)
            undo.callback(_sweep, box)
            nodes = [JoinedNode(number, underlay, box, bridge, **settings) for number in range(1, count + 1)]
            for node in nodes:
                undo.callback(node.end)
                node.start_daemon()
            for node in nodes:
                node.until_ready()
            yield cls(nodes)

    def of(self, pod: str) -> JoinedNode:
        """Return the node that a pod is on."""
        return self.nodes[self._moved.get(pod, pod.partition("-")[0])]

    def sandbox(self, pod: str, node: str) -> BenchPod:
        """End a pod's sandbox (DEL) and return a new one for it on a node, not attached yet."""
        old = self.pods[pod]
        self.of(pod).call("DEL", old)
        old.remove()
        self._moved[pod] = node
        new = self.pods[pod] = self.nodes[node].pod(pod)
        return new

    def attach(self, names: Sequence[str]) -> None:
        """Attach new pods, and wait until all link ends of all nodes are up."""
        for name, node in self.nodes.items():
            made = {pod: node.pod(pod) for pod in names if pod.startswith(f"{name}-")}
            node.add_all(list(made.values()))
            self.pods |= made
        self.until_up()

    def until_up(self) -> None:
        """Wait until every link end is up. Ends the benchmark when that takes too long."""
        deadline = time.monotonic() + SETTLED_S
        while not all(_all_up(summary) for summary in self.summaries()):
            if time.monotonic() > deadline:
                words = {name: node.last_words() for name, node in self.nodes.items()}
                sys.exit(f"not all link ends come up: {self.summaries()}: {words}")
            time.sleep(0.005)

    def summaries(self) -> list[dict[str, Any]]:
        """Return how the link ends of each node are."""
        return [node.ask("summary") for node in self.nodes.values()]


def _sweep(box: Netlink) -> None:
    """Delete the bridge and the uplinks: those of nodes that have ended go some time later by themselves."""
    found = [link.ifindex for link in map(links.parse_link, box.dump(links.dump_links())) if link.ifindex != _LOOPBACK]
    box.run_tolerating([links.delete_link(ifindex) for ifindex in found], errno.ENODEV)


def _all_up(summary: dict[str, Any]) -> bool:
    return bool(summary["up"] == summary["endpoints"])
