"""The underlay: by which interface and address this node reaches the others, and how large a packet may be there."""

from __future__ import annotations

import errno
import ipaddress
from typing import TYPE_CHECKING

from meshnet.driver.link import Underlay
from meshnet.errors import InvalidObject, KernelError, Problem
from meshnet.netlink import addresses, links

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from meshnet.netlink import LinkInfo, Netlink

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MTU = 1500
"""Of an underlay that nothing is known of."""


def find_underlay(netlink: Netlink, *, address: str, interface: str, mtu: int, before: str = "") -> Underlay:
    """Return the underlay of this node.

    Args:
        netlink: in the node's namespace.
        address: of this node as its peers reach it, or ``""``.
        interface: the one to use, by its first address if it has not got that one; ``""``: the one that has it.
        mtu: instead of the interface's, where the path is smaller than the NIC; 0: the interface's.
        before: the address that was found before; while it is there it goes before the interface's first, which of
            IPv6 is the newest.

    Raises InvalidObject when this node has not got that address or interface, or the interface takes no packet as
    large as that; KernelError.
    """
    if not address and not interface:
        return Underlay(mtu or MTU, 4)
    having = list(addresses.parse_addresses(netlink.dump(addresses.dump_addresses(), steady=False)))
    known = _devices(netlink, {device for device, _ in having})
    there = [(known[device], ipaddress.ip_interface(cidr).ip) for device, cidr in having if device in known]
    chosen = _choose(there, (address, before), interface)
    if chosen is None:
        raise InvalidObject("settings", [_missing(address, interface, [str(found) for _, found in there])])
    device, found = chosen
    if mtu > device.mtu:
        raise InvalidObject("settings", [_too_large(mtu, device)])
    return Underlay(mtu or device.mtu, found.version, str(found), device.ifindex)


def _devices(netlink: Netlink, indexes: Collection[int]) -> dict[int, LinkInfo]:
    """Return those links that are still there, by index; of all links of a node most are ports, without an address."""
    answers = netlink.ask_many([links.get_link(ifindex) for ifindex in indexes])
    for answer in answers:
        if isinstance(answer, KernelError) and answer.errno != errno.ENODEV:
            raise answer
    found = [links.parse_link(answer) for answer in answers if not isinstance(answer, KernelError)]
    return {info.ifindex: info for info in found}


def _choose(
    there: Sequence[tuple[LinkInfo, Address]], wanted: Sequence[str], interface: str
) -> tuple[LinkInfo, Address] | None:
    """Return the address to use and the device that has it: of the interface, if one is named, whatever the address."""
    usable = [(device, found) for device, found in there if interface in ("", device.name)]
    named = [one for address in wanted for one in usable if str(one[1]) == address]
    others = [one for one in usable if interface and not (one[1].is_link_local or one[1].is_loopback)]
    return next(iter([*named, *others]), None)


def _too_large(mtu: int, device: LinkInfo) -> Problem:
    return Problem("MESHNET_UNDERLAY_MTU", mtu, f"at most what interface {device.name} takes, {device.mtu}")


def _missing(address: str, interface: str, having: list[str]) -> Problem:
    there = ", ".join(having) or "none"
    if interface:
        return Problem(
            "MESHNET_UNDERLAY_INTERFACE or HOST_INTF", interface, "an interface of this node that has an address"
        )
    return Problem("HOST_IP", address, f"an address of this node, which has {there}")
