"""The underlay as it was when the daemon began: drivers and peers were told of it, and only a new start tells them."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from typing import TYPE_CHECKING

from meshnet.errors import KernelError, MeshnetError
from meshnet.netlink import addresses, links

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.driver.link import Underlay
    from meshnet.netlink import Netlink

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

log = logging.getLogger(__name__)

LOOKS = 2
"""So often in a row the address must be missing: a link that flaps, or a lease's renewal, may take it for a moment."""


class UnderlayWatch:
    """Looks from time to time whether peers reach this node as they were told.

    Args:
        netlink: in the node's namespace.
        used: as it was found at the start.
        follow_mtu: the MTU is that of the interface, and was not given.
    """

    def __init__(self, netlink: Netlink, used: Underlay, *, follow_mtu: bool) -> None:
        self._netlink = netlink
        self._used = used
        self._follow_mtu = follow_mtu
        self._missing = 0

    async def run(self, every_s: float) -> None:
        """Look for ever. Raises MeshnetError when the daemon must start anew; links go on as they are meanwhile."""
        while True:
            await asyncio.sleep(every_s)
            if not self._used.address:
                continue
            try:
                self.look()
            except KernelError as error:
                log.warning("underlay: %s", error)

    def look(self) -> None:
        """Compare what is with what was. Raises MeshnetError, KernelError."""
        used = self._used
        having = [
            addresses.parse_address(payload) for payload in self._netlink.dump(addresses.dump_addresses(), steady=False)
        ]
        there = [(device, ipaddress.ip_interface(cidr).ip) for device, cidr in having]
        if (used.device, ipaddress.ip_address(used.address)) in there:
            self._missing = 0
            self._compare_mtu()
            return
        self._missing += 1
        if self._missing == 1:
            log.error("this node has not got its address %s any more: its peers cannot reach it", used.address)
        others = _others(there, used)
        if self._missing >= LOOKS and others:
            raise MeshnetError(
                f"the underlay's address was {used.address} and is {others[0]}: the daemon must start anew"
            )

    def _compare_mtu(self) -> None:
        used = self._used
        mtu = links.parse_link(self._netlink.ask(links.get_link(used.device))).mtu
        if self._follow_mtu and mtu != used.mtu:
            raise MeshnetError(f"the underlay's MTU was {used.mtu} and is {mtu}: the daemon must start anew")


def _others(there: Sequence[tuple[int, Address]], used: Underlay) -> list[str]:
    """Return the addresses by which peers may reach this node now: of the same interface, or the same on another."""
    same = ipaddress.ip_address(used.address)
    return [
        f"{found} (interface {device})"
        for device, found in there
        if found == same
        or (device == used.device and found.version == used.family and not (found.is_link_local or found.is_loopback))
    ]
