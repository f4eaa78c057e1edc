"""What joins the nodes of a lab: a bridge in the box, and an uplink `eth0` in each node."""

from __future__ import annotations

from pathlib import Path

import attrs

from meshnet.errors import KernelError
from meshnet.netlink import addresses, ifla, links, netns
from meshnet.netlink.socket import Netlink
from meshnet.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, Request, nested, string, u32

UPLINK = "eth0"
BRIDGE = "underlay"
LOOPBACK_IFINDEX = 1


@attrs.frozen
class Underlay:
    """How the nodes reach each other.

    Attributes:
        family: ``ipv4`` or ``ipv6``.
        mtu: of the uplinks, bytes.
    """

    family: str = "ipv4"
    mtu: int = 1500

    def address(self, number: int) -> str:
        """Return the address of the uplink of node `number` (from 1), with its prefix length."""
        return f"fd00:99::{number:x}/64" if self.family == "ipv6" else f"10.99.0.{number}/16"


def up_loopback() -> Request:
    """Set `lo` up."""
    return links.set_link(LOOPBACK_IFINDEX, up=True)


def make_bridge(box: Netlink, mtu: int) -> int:
    """Make the underlay's bridge in the box and return its ifindex. Raises KernelError."""
    body = ifla.IFINFO.pack(0, 0, 0, ifla.IFF_UP, ifla.IFF_UP)
    body += string(ifla.IFLA_IFNAME, BRIDGE) + u32(ifla.IFLA_MTU, mtu)
    body += nested(ifla.IFLA_LINKINFO, string(ifla.IFLA_INFO_KIND, "bridge"))
    request = Request(ifla.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"make bridge {BRIDGE}")
    box.run([request])
    return links.parse_link(box.ask(links.get_link(BRIDGE))).ifindex


def connect(box: Netlink, bridge: int, number: int, netns_fd: int, underlay: Underlay) -> None:
    """Give node `number` its uplink. Raises KernelError."""
    spec = links.VethSpec(
        port_name=f"uplink{number}",
        port_ifindex=(1 << 20) + number,
        port_mac=f"02:00:0a:62:{number >> 8:02x}:{number & 255:02x}",
        group=0,
        mtu=underlay.mtu,
        peer_name=UPLINK,
        peer_mac=f"02:00:0a:63:{number >> 8:02x}:{number & 255:02x}",
        peer_netns_fd=netns_fd,
    )
    port = links.parse_link(box.run([links.new_veth(spec)])[0])
    body = ifla.IFINFO.pack(0, 0, port.ifindex, ifla.IFF_UP, ifla.IFF_UP) + u32(ifla.IFLA_MASTER, bridge)
    box.run([Request(ifla.RTM_SETLINK, 0, body, f"put uplink {number} into the underlay")])
    with netns.entered(netns_fd), Netlink.open() as node:
        if underlay.family == "ipv6":
            Path(f"/proc/sys/net/ipv6/conf/{UPLINK}/disable_ipv6").write_text("0")
        node.run(
            [
                addresses.add_address(port.link, underlay.address(number)),
                links.set_link(port.link, up=True),
            ]
        )


def prepare_node(netns_fd: int) -> None:
    """Set up a node's network namespace before it has any port. Raises KernelError, OSError."""
    with netns.entered(netns_fd), Netlink.open() as node:
        node.run([up_loopback()])
        # ports and patches never use IPv6 of the node: without it each costs less, and the node stays silent
        _write("net/ipv6/conf/default/disable_ipv6", "1")
        _write("net/ipv4/ip_forward", "1")


def set_uplink(netns_fd: int, *, up: bool) -> None:
    """Plug or unplug a node's uplink. Raises KernelError."""
    with Netlink.open(netns_fd) as node:
        uplink = links.parse_link(node.ask(links.get_link(UPLINK)))
        node.run([links.set_link(uplink.ifindex, up=up)])


def _write(setting: str, value: str) -> None:
    path = Path("/proc/sys", setting)
    if path.exists():  # a kernel without IPv6 has nothing to silence
        try:
            path.write_text(value)
        except OSError as error:
            raise KernelError(error.errno or 0, f"write {path}") from error
