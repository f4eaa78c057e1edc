"""What links between nodes are compared with, between the same two nodes and made by hand as upstream makes it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from joined_nodes import NODES
from traffic import Pair, end, inside

from meshnet.netlink import Ethtool, netns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from joined_nodes import JoinedNodes

WIRE_PORT = 51000
FIRST_VNI = 5000
INTERFACE = "eth1"


def vxlan_in_pods(nodes: JoinedNodes, name: str, number: int, *, tx: bool) -> Pair:
    """Make a VXLAN device on each node and move it into a pod there.

    Args:
        nodes: both.
        name: of the pods, after that of their node.
        number: another one for each pair.
        tx: False takes the pods' tx offloads off.
    """
    ends = list(nodes.nodes.values())
    for here, (node, far) in enumerate(zip(ends, reversed(ends), strict=True), 1):
        pod, device = f"{node.name}-{name}", f"vx{number}"
        netns.new_netns(f"/run/netns/{pod}")
        _ip("-n", node.name, "link", "add", device, "type", "vxlan", "id", str(FIRST_VNI + number),
            "remote", far.address, "local", node.address, "dstport", "4789")  # fmt: skip
        _ip("-n", node.name, "link", "set", device, "netns", pod, "name", INTERFACE)
        _address(pod, f"10.{200 + number}.0.{here}/30", tx=tx)
    return _pair(name, number)


@contextlib.contextmanager
def unary_wire(nodes: JoinedNodes, program: Path, number: int) -> Iterator[tuple[Pair, list[int]]]:
    """Run the rival on both nodes, with one wire between a pod on each; its pods' tx offloads are off.

    Yields the pods and the rivals' process ids.
    """
    name, ends = "unary", list(nodes.nodes.values())
    indexes = [_veth(node.name, f"{node.name}-{name}", number) for node in ends]
    for here, node in enumerate(ends, 1):
        _address(f"{node.name}-{name}", f"10.{200 + number}.0.{here}/30", tx=False)
    with contextlib.ExitStack() as undo:
        running = []
        for here, node in enumerate(ends):
            far = 1 - here
            addresses = [f"{end.address}:{WIRE_PORT}" for end in (node, ends[far])]
            wire = f"wire{number}:{indexes[far]}"
            process = subprocess.Popen(inside(node.path, str(program), *addresses, wire), stdout=subprocess.PIPE)
            undo.callback(end, process)
            running.append(process)
        for process in running:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                sys.exit("the rival does not start")
        yield _pair(name, number), [process.pid for process in running]


def _veth(node: str, pod: str, number: int) -> int:
    """Cable a new pod to a node; return the ifindex of the node's end."""
    netns.new_netns(f"/run/netns/{pod}")
    ifindex = str((1 << 21) + number + NODES.index(node))
    _ip("-n", node, "link", "add", f"wire{number}", "index", ifindex, "type", "veth", "peer", "name", INTERFACE,
        "netns", pod)  # fmt: skip
    _ip("-n", node, "link", "set", f"wire{number}", "up")
    return int(ifindex)


def _address(pod: str, address: str, *, tx: bool) -> None:
    _ip("-n", pod, "address", "add", address, "dev", INTERFACE)
    _ip("-n", pod, "link", "set", INTERFACE, "up")
    if not tx:
        fd = netns.open_netns(f"/run/netns/{pod}")
        with Ethtool(fd) as ethtool:
            ethtool.set_tx_checksum(INTERFACE, on=False)
        os.close(fd)


def _pair(name: str, number: int) -> Pair:
    sender, receiver = (f"/run/netns/{node}-{name}" for node in NODES)
    return Pair(sender, receiver, f"10.{200 + number}.0.2")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
