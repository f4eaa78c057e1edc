"""The underlay: by which interface and address this node reaches the others, and how large a packet may be there."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from meshnet.driver.link import Underlay
from meshnet.errors import InvalidObject, Problem
from meshnet.netlink import addresses, links

if TYPE_CHECKING:
    from meshnet.netlink import LinkInfo, Netlink

MTU = 1500
"""Of an underlay that nothing is known of."""


def find_underlay(netlink: Netlink, *, address: str, interface: str, mtu: int) -> Underlay:
    """Return the underlay of this node.

    Args:
        netlink: in the node's namespace.
        address: of this node as its peers reach it, or ``""``: then the first of `interface`.
        interface: the one to use, or ``""``: then the one that has `address`.
        mtu: instead of the interface's, where the path is smaller than the NIC; 0: the interface's.

    Raises InvalidObject when this node has not got that address or interface, or the interface takes no packet as
    large as that; KernelError.
    """
    if not address and not interface:
        return Underlay(mtu or MTU, 4)
    known = {info.ifindex: info for info in map(links.parse_link, netlink.dump(links.dump_links(), steady=False))}
    having = [addresses.parse_address(payload) for payload in netlink.dump(addresses.dump_addresses(), steady=False)]
    for device, cidr in having:
        found = ipaddress.ip_interface(cidr).ip
        info = known.get(device)
        if info is None or (interface and info.name != interface):
            continue
        if str(found) == address or (not address and not (found.is_link_local or found.is_loopback)):
            if mtu > info.mtu:
                raise InvalidObject("settings", [_too_large(mtu, info)])
            return Underlay(mtu or info.mtu, found.version, str(found), device)
    raise InvalidObject(
        "settings", [_missing(address, interface, [str(ipaddress.ip_interface(c).ip) for _, c in having])]
    )


def _too_large(mtu: int, device: LinkInfo) -> Problem:
    return Problem("MESHNET_UNDERLAY_MTU", mtu, f"at most what interface {device.name} takes, {device.mtu}")


def _missing(address: str, interface: str, having: list[str]) -> Problem:
    there = ", ".join(having) or "none"
    if address:
        where = f" on {interface}" if interface else ""
        return Problem("HOST_IP", address, f"an address of this node{where}, which has {there}")
    return Problem("MESHNET_UNDERLAY_INTERFACE", interface, "an interface of this node that has an address")
