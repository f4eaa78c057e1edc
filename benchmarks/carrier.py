"""How soon a pod hears that its peer went down or came up: from just before `link down` is sent to the event."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from typing import TYPE_CHECKING

from figures import percentile

from meshnet.netlink import Netlink, ifla, links, netns
from meshnet.netlink.wire import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from figures import Report

IFF_LOWER_UP = 1 << 16
RTMGRP_LINK = 1
PATIENCE_S = 5.0
PAUSE_S = 0.01


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

    def until(self, *, carrier: bool, patience_s: float = PATIENCE_S) -> float:
        """Return when (`time.perf_counter`) it was heard that the carrier is so. Ends the benchmark when it is not."""
        deadline = time.monotonic() + patience_s
        while select.select([self._events], [], [], max(0.0, deadline - time.monotonic()))[0]:
            data = self._events.recv(1 << 16)
            now = time.perf_counter()
            _, _, ifindex, flags, _ = ifla.IFINFO.unpack_from(data, HEADER.size)
            if ifindex == self.ifindex and bool(flags & IFF_LOWER_UP) is carrier:
                return now
        sys.exit(f"{self.path}: no carrier={carrier} within {patience_s:g} s")

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


class Carrier:
    """One way of a carrier, its figures and all that was measured of them."""

    def __init__(self, way: str, report: Report, where: str, bounds: tuple[float | None, ...]) -> None:
        what = f"carrier {way}, {where}"
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
