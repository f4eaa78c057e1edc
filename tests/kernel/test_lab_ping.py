"""Pings of a lab, from namespace to namespace."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from meshnet.lab.ping import Ping, ping_all
from meshnet.netlink.netns import entered
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

ADDRESSES = [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")]


def ip(command: str) -> str:
    return subprocess.run(["ip", *command.split()], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def paths(node_ns: int, new_ns: Callable[[], int]) -> tuple[str, str]:
    """Of two namespaces with a cable between their eth1."""
    far_ns = new_ns()
    ip("link add eth1 type veth peer name far")
    subprocess.run(["ip", "link", "set", "far", "netns", f"/proc/self/fd/{far_ns}"], check=True, pass_fds=[far_ns])
    for name, ns, host in (("eth1", node_ns, 0), ("far", far_ns, 1)):
        with entered(ns):
            if name == "far":
                ip("link set far name eth1")
            ip("link set eth1 up")
            ip(f"address add {ADDRESSES[0][host]}/24 dev eth1")
            ip(f"address add {ADDRESSES[1][host]}/64 dev eth1 nodad")
    return f"/proc/self/fd/{node_ns}", f"/proc/self/fd/{far_ns}"


@pytest.mark.parametrize("pair", ADDRESSES, ids=["ipv4", "ipv6"])
def test_no_neighbour_is_remembered(paths: tuple[str, str], pair: tuple[str, str]) -> None:
    """Thousands of them would find no room: the kernel has 1024 places for those of all namespaces together."""
    here, there = pair
    pongs = ping_all([Ping(paths[0], "eth1", here, there), Ping(paths[1], "eth1", there, here)])

    assert [pong.error for pong in pongs] == ["", ""]
    assert all(pong.rtt_ms for pong in pongs)
    assert eventually(lambda: there not in ip("neighbour show dev eth1"))


@pytest.mark.parametrize("pair", ADDRESSES, ids=["ipv4", "ipv6"])
def test_a_neighbour_that_the_pod_has_set_itself_stays(paths: tuple[str, str], pair: tuple[str, str]) -> None:
    here, there = pair
    with entered(int(paths[1].rpartition("/")[2])):
        (mac,) = re.findall(r"link/ether (\S+)", ip("-o link show dev eth1"))
    ip(f"neighbour replace {there} lladdr {mac} dev eth1 nud permanent")

    (pong,) = ping_all([Ping(paths[0], "eth1", here, there)])

    assert pong.rtt_ms
    assert f"{there} lladdr {mac} PERMANENT" in ip("neighbour show dev eth1")
