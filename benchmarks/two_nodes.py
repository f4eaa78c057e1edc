"""Two nodes of a benchmark: a namespace and a real daemon each, joined by a bridge as the nodes of a lab are.

The bridge is in the benchmark's own namespace, which has no address on it. Pods are on the node that their name begins
with: `n1-a`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from local_node import RUN, SETTLED_S, BenchNode, fill_store

from meshnet.lab.underlay import Underlay, make_bridge, prepare_node
from meshnet.lab.uplink import Cut, Uplink
from meshnet.netlink import Netlink, netns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from local_node import BenchPod

NODES = ("n1", "n2")


class JoinedNode(BenchNode):
    """A node with an uplink.

    Attributes:
        path: of its network namespace.
        address: by which the other reaches it.
    """

    def __init__(self, number: int, underlay: Underlay, box: Netlink, bridge: int) -> None:
        name = NODES[number - 1]
        self._uplink = Uplink(name, number, underlay)
        self.address = self._uplink.address
        self.path = f"/run/netns/{name}"
        super().__init__(name, RUN / name, HOST_IP=self.address)
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


class TwoNodes:
    """Both nodes, and the pods on them. `running` makes them.

    Attributes:
        nodes: by name.
        pods: that are attached, by name.
    """

    def __init__(self, nodes: Sequence[JoinedNode]) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.pods: dict[str, BenchPod] = {}

    @classmethod
    @contextlib.contextmanager
    def running(cls, documents: Sequence[Mapping[str, Any]]) -> Iterator[Self]:
        """Start both nodes with these topologies; they, and all their files, are gone at the end of the ``with``."""
        RUN.mkdir(parents=True)
        fill_store([dict(document) for document in documents])
        underlay = Underlay()
        with contextlib.ExitStack() as undo:
            undo.callback(shutil.rmtree, RUN)
            box = undo.enter_context(Netlink.open())
            bridge = make_bridge(box, underlay.mtu)
            nodes = [JoinedNode(number, underlay, box, bridge) for number in (1, 2)]
            for node in nodes:
                undo.callback(node.end)
                node.start_daemon()
            for node in nodes:
                node.until_ready()
            yield cls(nodes)

    def of(self, pod: str) -> JoinedNode:
        """Return the node of a pod."""
        return self.nodes[pod.partition("-")[0]]

    def attach(self, names: Sequence[str]) -> None:
        """Attach new pods, and wait until all link ends of both nodes are up."""
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


def _all_up(summary: dict[str, Any]) -> bool:
    return bool(summary["up"] == summary["endpoints"])
