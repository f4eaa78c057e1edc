"""What nodes of a test reach each other by: a bridge in a namespace of its own, each node's NIC plugged into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver import Underlay
from meshnet.netlink import links
from meshnet.netlink.addresses import add_address
from meshnet.testing.node import NIC, KitNode, Namespace, Uplink

if TYPE_CHECKING:
    from meshnet.netlink import LinkInfo

_BRIDGE = "underlay"
_ADDRESSES = {4: ("198.51.100.{}", 24), 6: ("2001:db8:ffff::{:x}", 64)}


class KitUnderlay(Namespace):
    """A network for nodes.

    Attributes:
        mtu: of an IP packet on it, bytes.
        family: 4 or 6.
    """

    def __init__(self, mtu: int = 9000, family: int = 4) -> None:
        super().__init__("underlay")
        self.mtu = mtu
        self.family = family
        self._addresses: dict[str, str] = {}
        try:
            self._bridge = self.make_stranger(_BRIDGE)
            self.netlink.run([links.set_link(self._bridge, up=True, quiet=True)])
        except BaseException:
            self.close()
            raise

    def new_node(self, name: str) -> KitNode:
        """Return a node with an address on it."""
        number = len(self._addresses) + 1
        address, length = _ADDRESSES[self.family]
        self._addresses[name] = address.format(number)
        node = KitNode(name, Uplink(self, name, f"06:00:5e:00:53:{0x10 + number:02x}", self.mtu))
        self.netlink.run([links.set_link(self._port(name).ifindex, master=self._bridge)])
        node.netlink.run([add_address(_nic(node).ifindex, f"{self._addresses[name]}/{length}")])
        return node

    def facts(self, node: KitNode) -> Underlay:
        """Return what a driver on that node is told of it."""
        return Underlay(self.mtu, self.family, self._addresses[node.name], _nic(node).ifindex)

    def cut(self, node: str) -> None:
        """Take the cable of a node out of it."""
        self.netlink.run([links.set_link(self._port(node).ifindex, up=False)])

    def mend(self, node: str) -> None:
        """Put the cable of a node in again."""
        self.netlink.run([links.set_link(self._port(node).ifindex, up=True)])

    def _port(self, name: str) -> LinkInfo:
        found = self.link(name)
        assert found is not None
        return found


def _nic(node: KitNode) -> LinkInfo:
    found = node.link(NIC)
    assert found is not None
    return found
