"""How soon a pod sees that its peer went down, came up, was deleted, returned: in a node of 1000 pods and 1500 links.

carrier: from just before a pod's `link down` (or up) is sent to the kernel until the event arrives at a netlink socket
in the peer's namespace. In between: the event to the daemon, and its change of the peer's port. Against a veth that
joins two namespaces directly, where the kernel alone does it.

return: a pod is deleted (DEL, its namespace gone) and attached anew (ADD): from the start of that ADD until a neighbour
has carrier again, and from the start of DEL until it has lost it. Against `ip` making the neighbour's veth anew
(addresses of both ends, up; `ip -batch`, one process a namespace), from its start until carrier.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import socket
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

import box
import wiring
from carrier import IFF_LOWER_UP, PATIENCE_S, PAUSE_S, RTMGRP_LINK, Carrier, End, both, carrier_round, down_and_up
from figures import Report
from local_node import BenchNode, BenchPod

from meshnet.netlink import Netlink, VethSpec, addresses, ifla, links, netns
from meshnet.netlink.wire import HEADER

if TYPE_CHECKING:
    from wiring import Cable

DIRECT_INDEX = 1 << 21


def direct(name: str) -> tuple[str, str]:
    """Make a veth between two new namespaces, `eth1` in both; return their paths.

    The ends' indexes differ: equal ones make the kernel tell of a loss of carrier once a second only.
    """
    paths = (f"/run/netns/{name}-a", f"/run/netns/{name}-b")
    fds = []
    for path in paths:
        netns.new_netns(path)
        fds.append(netns.open_netns(path))
    spec = VethSpec("eth1", DIRECT_INDEX, "02:00:00:00:00:01", 1500, "eth1", "02:00:00:00:00:02", fds[1],
                    DIRECT_INDEX + 1)  # fmt: skip
    with Netlink.open(fds[0]) as netlink:
        netlink.run([links.new_veth(spec)])
    for end, fd in enumerate(fds):
        with Netlink.open(fd) as netlink:
            netlink.run([addresses.add_address(DIRECT_INDEX + end, f"10.200.0.{end + 1}/30")])
            netlink.run([links.set_link(DIRECT_INDEX + end, up=True)])
        os.close(fd)
    return paths


def returns(node: BenchNode, pods: dict[str, BenchPod], cable: Cable) -> tuple[float, float]:
    """Delete and re-attach the left pod; return milliseconds: DEL to loss, ADD to carrier, at the right one."""
    survivor = End(pods[cable.right].path, cable.right_interface)
    with contextlib.closing(survivor):
        old = pods[cable.left]
        began = time.perf_counter()
        pid = node.start("DEL", old)
        lost = survivor.until(carrier=False) - began
        os.waitpid(pid, 0)
        old.remove()
        pods[cable.left] = new = BenchPod(cable.left)
        time.sleep(PAUSE_S)
        survivor.clear()
        began = time.perf_counter()
        pid = node.start("ADD", new)
        regained = survivor.until(carrier=True) - began
        os.waitpid(pid, 0)
    return lost * 1e3, regained * 1e3


def ip_again(paths: tuple[str, str]) -> float:
    """Have `ip` remove the direct veth and make it anew; return milliseconds of the making, to carrier."""
    near, far = (path.rpartition("/")[2] for path in paths)
    subprocess.run(["ip", "-n", far, "link", "del", "eth1"], check=True)
    fd = netns.open_netns(paths[1])
    with netns.entered(fd):
        heard = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        heard.bind((0, RTMGRP_LINK))
    os.close(fd)
    began = time.perf_counter()
    _ip_batch(near, f"link add eth1 mtu 1500 type veth peer name eth1 mtu 1500 netns {far}\n"
              "address add 10.200.0.1/30 dev eth1\nlink set eth1 up\n")  # fmt: skip
    _ip_batch(far, "address add 10.200.0.2/30 dev eth1\nlink set eth1 up\n")
    with heard:
        heard.settimeout(PATIENCE_S)
        while True:
            data = heard.recv(1 << 16)
            if ifla.IFINFO.unpack_from(data, HEADER.size)[3] & IFF_LOWER_UP:
                return (time.perf_counter() - began) * 1e3


def _ip_batch(namespace: str, commands: str) -> None:
    subprocess.run(["ip", "-n", namespace, "-batch", "-"], input=commands, text=True, check=True)


def main() -> None:
    asked = box.options(__doc__)
    box.enter()
    size, samples, again = ((200, 300), 40, 8) if asked.quick else ((1000, 1500), 150, 20)
    made = wiring.ring_with_chords(*size)
    chance = random.Random(wiring.SEED)
    report = Report("bench_carrier", asked.rounds, asked.output)
    ways = (
        Carrier("down", report, f"{size[0]} pods", (5, 20, 1.6, 4.3)),
        Carrier("up", report, f"{size[0]} pods", (None, None, None, None)),
    )
    regained = report.figure("return, ADD to carrier at the neighbour", "ms", note="theirs: `ip -batch`, a direct veth")
    lost = report.figure("return, DEL to loss at the neighbour", "ms", of_ratio=False)
    with BenchNode.running(wiring.topologies(made)) as node:
        pods = node.attach(wiring.pod_names(made))
        paths, remade = direct("direct"), direct("remade")

        def ours() -> tuple[float, float]:
            cable = chance.choice(made)
            near = (pods[cable.left].path, cable.left_interface)
            with both(near, (pods[cable.right].path, cable.right_interface)) as ends:
                return down_and_up(*ends)

        for _ in range(asked.rounds):
            report.quiet(asked.patience)
            carrier_round(ways, "ours", ours, samples)
            with both((paths[0], "eth1"), (paths[1], "eth1")) as ends:
                carrier_round(ways, "theirs", functools.partial(down_and_up, *ends), samples)
            found = [returns(node, pods, chance.choice(made)) for _ in range(again)]
            lost.ours.append(statistics.median(each[0] for each in found))
            regained.ours.append(statistics.median(each[1] for each in found))
            regained.theirs.append(statistics.median(ip_again(remade) for _ in range(again)))
    report.finish()


if __name__ == "__main__":
    main()
