"""netem: what a link sends comes later, where the kernel has it."""

from __future__ import annotations

import errno
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import VethSpec, addresses, links, netem

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.netlink import Netlink

pytestmark = pytest.mark.kernel
INDEX = 1 << 20


def cable(netlink: Netlink, fd: int) -> None:
    """Join the node with a namespace by a cable with an address at both ends."""
    spec = VethSpec("near", INDEX, "02:00:00:00:00:01", 1500, "far", "02:00:00:00:00:02", fd)
    netlink.run([links.new_veth(spec), links.set_link(INDEX, up=True), addresses.add_address(INDEX, "192.0.2.1/24")])
    with type(netlink).open(fd) as inside:
        far = links.parse_link(inside.ask(links.get_link("far"))).ifindex
        inside.run([links.set_link(far, up=True), addresses.add_address(far, "192.0.2.2/24")])


def round_trip_ms() -> float:
    told = subprocess.run(
        ["ping", "-c", "3", "-i", "0.2", "-W", "3", "192.0.2.2"], capture_output=True, text=True, check=True
    )
    return float(re.search(r"= ([\d.]+)/", told.stdout)[1])


def test_what_is_sent_comes_later(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    cable(netlink, new_ns())
    try:
        netlink.run([netem.delay(INDEX, 0.15)])
    except KernelError as error:
        if error.errno != errno.ENOENT:
            raise
        pytest.skip("this kernel has no netem")
    assert round_trip_ms() >= 150
    netlink.run([netem.delay(INDEX, 0.3)])
    assert round_trip_ms() >= 300
