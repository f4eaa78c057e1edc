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
import os
import random
import select
import socket
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import box
import wiring
from figures import Report, percentile
from local_node import BenchNode, BenchPod

from meshnet.netlink import Netlink, VethSpec, addresses, ifla, links, netns
from meshnet.netlink.wire import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wiring import Cable

IFF_LOWER_UP = 1 << 16
RTMGRP_LINK = 1
PATIENCE_S = 5.0
PAUSE_S = 0.01
DIRECT_INDEX = 1 << 21


class End:
    """An interface in a pod: sets it up and down, and hears its carrier."""

    def __init__(self, path: str, interface: str) -> None:
        self.path = path
        fd = netns.open_netns(path)
        with netns.entered(fd):
            self._events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self._events.bind((0, RTMGRP_LINK))
        self._netlink = Netlink.open(fd)
        os.close(fd)
        self.ifindex = links.parse_link(self._netlink.ask(links.get_link(interface))).ifindex

    def set_up(self, *, up: bool) -> None:
        self._netlink.run([links.set_link(self.ifindex, up=up)])

    def clear(self) -> None:
        """Forget what has been heard so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._events.recv(1 << 16, socket.MSG_DONTWAIT)

    def until(self, *, carrier: bool) -> float:
        """Return when (`time.perf_counter`) it was heard that the carrier is so."""
        deadline = time.monotonic() + PATIENCE_S
        while select.select([self._events], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data = self._events.recv(1 << 16)
            now = time.perf_counter()
            _, _, ifindex, flags, _ = ifla.IFINFO.unpack_from(data, HEADER.size)
            if ifindex == self.ifindex and bool(flags & IFF_LOWER_UP) is carrier:
                return now
        sys.exit(f"{self.path}: no carrier={carrier} within {PATIENCE_S:g} s")

    def close(self) -> None:
        self._netlink.close()
        self._events.close()


@contextlib.contextmanager
def both(left: tuple[str, str], right: tuple[str, str]) -> Iterator[tuple[End, End]]:
    ends = End(*left), End(*right)
    try:
        yield ends
    finally:
        for end in ends:
            end.close()


def down_and_up(near: End, far: End) -> tuple[float, float]:
    """Return milliseconds from `near`'s down, and up, to the event at `far`."""
    took = []
    for up in (False, True):
        far.clear()
        began = time.perf_counter()
        near.set_up(up=up)
        took.append((far.until(carrier=up) - began) * 1e3)
        time.sleep(PAUSE_S)
    return took[0], took[1]


def direct(name: str) -> tuple[str, str]:
    """Make a veth between two new namespaces, `eth1` in both; return their paths.

    The ends' indexes differ: equal ones make the kernel tell of a loss of carrier once a second only.
    """
    paths = (f"/run/netns/{name}-a", f"/run/netns/{name}-b")
    fds = []
    for path in paths:
        netns.new_netns(path)
        fds.append(netns.open_netns(path))
    spec = VethSpec("eth1", DIRECT_INDEX, "02:00:00:00:00:01", 0, 1500, "eth1", "02:00:00:00:00:02", fds[1],
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


class Carrier:
    """One way of a carrier, its figures and all that was measured of them."""

    def __init__(self, way: str, report: Report, count: int, bounds: tuple[float | None, ...]) -> None:
        what = f"carrier {way}, {count} pods"
        self._p50 = report.figure(f"{what}, p50", "ms", must=bounds[0], goal=bounds[2], of_ratio=False)
        self._p99 = report.figure(f"{what}, p99", "ms", must=bounds[1], goal=bounds[3], of_ratio=False)

    def add(self, side: str, values: list[float]) -> None:
        """Take a round's values of one side."""
        getattr(self._p50, side).append(percentile(values, 0.5))
        getattr(self._p99, side).append(percentile(values, 0.99))


def carrier_round(
    ways: tuple[Carrier, Carrier], side: str, pair: Callable[[], tuple[float, float]], count: int
) -> None:
    found = [pair() for _ in range(count)]
    for way, values in zip(ways, zip(*found, strict=True), strict=True):
        way.add(side, list(values))


def main() -> None:
    asked = box.options(__doc__)
    box.enter()
    size, samples, again = ((200, 300), 40, 8) if asked.quick else ((1000, 1500), 150, 20)
    made = wiring.ring_with_chords(*size)
    chance = random.Random(wiring.SEED)
    report = Report("bench_carrier", asked.rounds, asked.output)
    ways = (
        Carrier("down", report, size[0], (5, 20, 1.6, 4.3)),
        Carrier("up", report, size[0], (None, None, None, None)),
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
                carrier_round(ways, "theirs", lambda ends=ends: down_and_up(*ends), samples)
            found = [returns(node, pods, chance.choice(made)) for _ in range(again)]
            lost.ours.append(statistics.median(each[0] for each in found))
            regained.ours.append(statistics.median(each[1] for each in found))
            regained.theirs.append(statistics.median(ip_again(remade) for _ in range(again)))
    report.finish()


if __name__ == "__main__":
    main()
