"""Pods with one port each, for tests of what lies between them."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import LinkInfo, LinkStats, Netlink, Request, VethSpec, addresses, links, tc
from meshnet.netlink.ifla import IFF_RUNNING, IFINFO
from meshnet.netlink.netns import entered
from meshnet.netlink.wire import NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, nested, string

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_PORT = 1 << 20
RTM_NEWLINKPROP = 108
IFLA_PROP_LIST = 52
IFLA_ALT_IFNAME = 53
LINUX = tuple(int(number) for number in os.uname().release.split(".")[:2])

echoes = pytest.mark.skipif(LINUX < (6, 2), reason="Linux before 6.2 does not echo new links")
"""What a test is marked with that is about echoes; all others ask."""


class Pod(NamedTuple):
    """A namespace with `eth1` in it, and that interface's port on the node."""

    number: int
    netns: int
    port: LinkInfo

    @property
    def ipv4(self) -> str:
        return f"10.0.0.{self.number}"

    @property
    def ipv6(self) -> str:
        return f"fd00::{self.number}"


def make_veths(netlink: Netlink, *specs: VethSpec) -> list[LinkInfo]:
    """Make veths in one batch and return their ports. They are asked for, since Linux before 6.2 does not echo them."""
    netlink.run([links.new_veth(spec) for spec in specs])
    return [links.parse_link(netlink.ask(links.get_link(spec.port_ifindex))) for spec in specs]


def link_names(netlink: Netlink, nsid: int | None = None) -> list[str]:
    """Return the names of a namespace's links in order, since Linux lists links in any."""
    return sorted(links.parse_link(payload).name for payload in netlink.dump(links.dump_links(nsid)))


def name_fully(netlink: Netlink, ifindex: int) -> None:
    """Give a link alternative names until the kernel takes no more: 64 KiB of them."""
    names = [string(IFLA_ALT_IFNAME, f"{ifindex:0>3}{number:0>124}") for number in range(600)]
    flags = NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND
    bodies = [IFINFO.pack(0, 0, ifindex, 0, 0) + nested(IFLA_PROP_LIST, name) for name in names]
    with pytest.raises(KernelError, match="property list too long"):
        netlink.run([Request(RTM_NEWLINKPROP, flags, body, "name a link") for body in bodies])


def make_pod(netlink: Netlink, netns: int, number: int, *, drops: bool = True) -> Pod:
    """Make a pod with its port, as a daemon would: quiet and dropping (unless not `drops`), admin down."""
    spec = VethSpec(
        port_name=f"port{number}",
        port_ifindex=FIRST_PORT + number,
        port_mac=f"02:00:00:00:01:{number:02x}",
        mtu=1500,
        peer_name="eth1",
        peer_mac=f"02:00:00:00:02:{number:02x}",
        peer_netns_fd=netns,
    )
    (port,) = make_veths(netlink, spec)
    netlink.run([links.set_link(port.ifindex, quiet=True)])
    if drops:
        netlink.run(
            [
                tc.add_clsact(port.ifindex),
                tc.add_ingress_drop(port.ifindex),
                tc.add_egress_own_drop(port.ifindex, port.mac),
            ]
        )
    pod = Pod(number, netns, port)
    with Netlink.open(netns) as inside:
        inside.run(
            [
                addresses.add_address(port.link, f"{pod.ipv4}/24"),
                addresses.add_address(port.link, f"{pod.ipv6}/64"),
                links.set_link(port.link, up=True),
            ]
        )
    return pod


def make_pods(netlink: Netlink, new_ns: Callable[[], int], count: int) -> list[Pod]:
    """Make pods 1 to `count`."""
    return [make_pod(netlink, new_ns(), number) for number in range(1, count + 1)]


def plug(netlink: Netlink, one: Pod, other: Pod) -> None:
    """Splice two ports by mirred, and give both carrier."""
    netlink.run(
        [
            tc.redirect(one.port.ifindex, other.port.ifindex),
            tc.redirect(other.port.ifindex, one.port.ifindex),
            links.set_link(one.port.ifindex, up=True),
            links.set_link(other.port.ifindex, up=True),
        ]
    )
    await_carrier(netlink, one, other)


def await_carrier(netlink: Netlink, *pods: Pod) -> None:
    """Wait until the kernel sends what the pods send: a while after carrier came, without which it drops."""
    for pod in pods:
        end = links.get_link(pod.port.link, pod.port.link_nsid)
        assert eventually(lambda end=end: bool(links.parse_link(netlink.ask(end)).flags & IFF_RUNNING))


def pings(pod: Pod, address: str) -> bool:
    """Tell whether `address` answers the pod within three tries of a second."""
    with entered(pod.netns):
        command = ["ping", "-n", "-c", "1", "-W", "1", address]
        return any(_run(command) == 0 for _ in range(3))


def stats(netns: int, ifindex: int) -> LinkStats:
    """Return the counters of a link."""
    with Netlink.open(netns) as inside:
        return links.parse_stats(inside.ask(links.get_link(ifindex)))


def eventually(holds: Callable[[], bool], within: float = 10.0) -> bool:
    """Tell whether `holds` becomes true within so many seconds."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _run(command: list[str]) -> int:
    return subprocess.run(command, check=False, capture_output=True, timeout=10).returncode
