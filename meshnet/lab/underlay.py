"""What joins the nodes of a lab: a bridge in the box that has no address, so that nothing goes through but frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import KernelError
from meshnet.netlink import ifla, links, netns
from meshnet.netlink.socket import Netlink
from meshnet.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, Request, nested, string, u8, u32

if TYPE_CHECKING:
    from collections.abc import Mapping

UPLINK = "eth0"
BRIDGE = "underlay"
SMALLEST_MTU = 1280
LARGEST_MTU = 65535
LOOPBACK_IFINDEX = 1
_IFLA_BR_MCAST_SNOOPING = 23


@attrs.frozen
class Underlay:
    """How the nodes reach each other.

    Attributes:
        family: ``ipv4`` or ``ipv6``.
        mtu: of the uplinks, bytes.
        delay_s: of every packet on its way from one node to another, seconds.
        uplinks: name of the uplink by node, where it is not `UPLINK`.
    """

    family: str = "ipv4"
    mtu: int = 1500
    delay_s: float = 0.0
    uplinks: Mapping[str, str] = attrs.field(factory=dict)

    def address(self, number: int) -> str:
        """Return the address of the uplink of node `number` (from 1), with its prefix length."""
        return f"fd00:99::{number:x}/64" if self.family == "ipv6" else f"10.99.0.{number}/16"

    def uplink(self, node: str) -> str:
        """Return the name of a node's uplink."""
        return self.uplinks.get(node, UPLINK)


def up_loopback() -> Request:
    """Set `lo` up."""
    return links.set_link(LOOPBACK_IFINDEX, up=True)


def make_bridge(box: Netlink, mtu: int) -> int:
    """Make the underlay's bridge in the box, which forwards nothing itself, and return its ifindex.

    The calling thread is in the box's network namespace. Raises KernelError.
    """
    write_setting("net/ipv4/ip_forward", "0")  # a new namespace has the machine's
    write_setting("net/ipv6/conf/all/forwarding", "0")
    write_setting("net/ipv6/conf/default/disable_ipv6", "1")  # the box says nothing into the underlay
    body = ifla.IFINFO.pack(0, 0, 0, ifla.IFF_UP, ifla.IFF_UP)
    body += string(ifla.IFLA_IFNAME, BRIDGE) + u32(ifla.IFLA_MTU, mtu)
    # neighbour discovery is multicast: without snooping it reaches every node at any time
    no_snooping = nested(ifla.IFLA_INFO_DATA, u8(_IFLA_BR_MCAST_SNOOPING, 0))
    body += nested(ifla.IFLA_LINKINFO, string(ifla.IFLA_INFO_KIND, "bridge"), no_snooping)
    request = Request(ifla.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"make bridge {BRIDGE} with MTU {mtu}")
    box.run([request])
    return links.parse_link(box.ask(links.get_link(BRIDGE))).ifindex


def prepare_node(netns_fd: int) -> None:
    """Set up a node's network namespace before it has any port. Raises KernelError."""
    with netns.entered(netns_fd), Netlink.open() as node:
        node.run([up_loopback()])
        # ports and patches never use IPv6 of the node: without it each costs less, and the node stays silent
        write_setting("net/ipv6/conf/default/disable_ipv6", "1")
        write_setting("net/ipv4/ip_forward", "1")


def write_setting(setting: str, value: str) -> None:
    """Write a setting of the calling thread's network namespace, where the kernel has it. Raises KernelError."""
    path = Path("/proc/sys", setting)
    if path.exists():  # a kernel without IPv6 has nothing to silence
        try:
            path.write_text(value)
        except OSError as error:
            raise KernelError(error.errno or 0, f"write {path}") from error
