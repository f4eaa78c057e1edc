"""The uplink of a node: a veth between the node and the underlay's bridge, which the box cuts at the bridge's side."""

from __future__ import annotations

import enum
import errno
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.errors import KernelError, MeshnetError
from meshnet.lab.underlay import write_setting
from meshnet.netlink import addresses, links, netem, netns, tc
from meshnet.netlink.socket import Netlink

if TYPE_CHECKING:
    from meshnet.lab.underlay import Underlay

_FIRST_IFINDEX = 1 << 20
"""Carrier is told late between two ends that have the same number: no node counts so far."""


class Cut(enum.Enum):
    """How an uplink is; the value is what users see. Drops are silent, and leave the carrier."""

    NONE = "plugged in"
    UNPLUGGED = "unplugged"
    IN = "drops what comes in"
    OUT = "drops what goes out"
    BOTH = "drops both ways"


class Uplink:
    """A node's uplink.

    Args:
        node: name of the node.
        number: of the node, from 1.
        underlay: that it belongs to.

    Attributes:
        name: in the node.
        address: of the node, without prefix length.
        cut: how it is now.
    """

    def __init__(self, node: str, number: int, underlay: Underlay) -> None:
        self.name = underlay.uplink(node)
        self.address = underlay.address(number).partition("/")[0]
        self.cut = Cut.NONE
        self._number = number
        self._underlay = underlay
        self._far_end = _FIRST_IFINDEX + number
        self._cutting = threading.Lock()

    def connect(self, box: Netlink, bridge: int, netns_fd: int) -> None:
        """Make the uplink in the node's namespace, with its address, which can be used at once. Raises KernelError."""
        number = self._number
        spec = links.VethSpec(
            port_name=f"uplink{number}",
            port_ifindex=self._far_end,
            port_mac=f"02:00:0a:62:{number >> 8:02x}:{number & 255:02x}",
            mtu=self._underlay.mtu,
            peer_name=self.name,
            peer_mac=f"02:00:0a:63:{number >> 8:02x}:{number & 255:02x}",
            peer_netns_fd=netns_fd,
        )
        box.run([links.new_veth(spec)])
        box.run([links.set_link(self._far_end, up=True, master=bridge), tc.add_clsact(self._far_end)])
        if self._underlay.delay_s:
            self._delay(box)
        with netns.entered(netns_fd), Netlink.open() as node:
            if self._underlay.family == "ipv6":
                self._speak_ipv6()
            inside = links.parse_link(node.ask(links.get_link(self.name))).ifindex
            address = addresses.add_address(inside, self._underlay.address(number))
            node.run([address, links.set_link(inside, up=True)])

    def set_cut(self, cut: Cut) -> None:
        """Cut the uplink, or mend it with `Cut.NONE`; the node keeps its addresses and routes.

        The calling thread is in the box's network namespace. Raises KernelError.
        """
        there = self._far_end
        ways = (
            (tc.INGRESS, tc.add_ingress_drop(there), cut in {Cut.OUT, Cut.BOTH}),
            (tc.EGRESS, tc.add_egress_drop(there), cut in {Cut.IN, Cut.BOTH}),
        )
        with self._cutting, Netlink.open() as box:
            box.run([drop for _, drop, wanted in ways if wanted])
            box.run([links.set_link(there, up=cut is not Cut.UNPLUGGED)])
            box.run_tolerating([tc.remove_drop(there, at) for at, _, wanted in ways if not wanted], errno.ENOENT)
            self.cut = cut

    def _delay(self, box: Netlink) -> None:
        try:
            box.run([netem.delay(self._far_end, self._underlay.delay_s)])
        except KernelError as error:
            if error.errno != errno.ENOENT:
                raise
            told = "this kernel has no netem; where it is a module, load it as root: modprobe sch_netem"
            raise MeshnetError(f"--underlay-delay: {told}") from error

    def _speak_ipv6(self) -> None:
        """Let the uplink have IPv6 addresses, those that the node is given and no others."""
        settings = Path("net/ipv6/conf", self.name)
        if not Path("/proc/sys", settings).exists():
            raise MeshnetError(f"uplink {self.name}: an IPv6 underlay, and this kernel has no IPv6")
        for setting, value in (("accept_dad", "0"), ("accept_ra", "0"), ("disable_ipv6", "0")):
            write_setting(str(settings / setting), value)
