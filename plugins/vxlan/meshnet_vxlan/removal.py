"""Removing devices: in a thread, many at once.

What is asked for while a removal is under way is collected, and goes together (`meshnet.netlink.groups`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshnet.netlink.groups import delete_together
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
    delete_together(ifindexes, _ours)


def _ours(payload: bytes) -> bool:
    device = parse_vxlan(payload)
    return device is not None and is_ours(device)
