"""Removing devices: in a thread, many at once.

The kernel holds its lock while a device goes, some 20 ms whether it is one or a thousand of one group; so what is asked
for while a removal is under way is collected, and goes together.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
from typing import TYPE_CHECKING

from meshnet.netlink import Netlink, links
from meshnet_vxlan.messages import parse_vxlan
from meshnet_vxlan.owned import is_ours

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Remover:
    """Removes devices of ours by interface index. One that is gone already is success."""

    def __init__(self) -> None:
        self._wanted: set[int] = set()
        self._turn = asyncio.Lock()

    async def remove(self, ifindexes: Iterable[int]) -> None:
        """Return when the devices are gone. Raises KernelError."""
        mine = set(ifindexes)
        self._wanted |= mine
        async with self._turn:
            if not mine & self._wanted:
                return  # who had the turn before has done it
            together, self._wanted = self._wanted, set()
            try:
                await asyncio.to_thread(_remove, sorted(together))
            except BaseException:
                # Those who wait for their turn try again, with an error of their own if need be.
                self._wanted |= together - mine
                raise


def _remove(ifindexes: Sequence[int]) -> None:
    group = secrets.randbits(30) | 1 << 30
    with Netlink.open() as netlink:
        netlink.run_tolerating([links.set_link(ifindex, group=group) for ifindex in ifindexes], errno.ENODEV)
        # A group is everybody's: who is not ours leaves it before it goes.
        for payload in netlink.dump(links.dump_links(), steady=False):
            info = links.parse_link(payload)
            device = parse_vxlan(payload)
            if info.group == group and (device is None or not is_ours(device)):
                netlink.run_tolerating([links.set_link(info.ifindex, group=0)], errno.ENODEV)
        netlink.run_tolerating([links.delete_group(group)], errno.ENODEV)
