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
        self._wanted: dict[object, frozenset[int]] = {}
        self._turn = asyncio.Lock()

    async def remove(self, ifindexes: Iterable[int]) -> None:
        """Return when the devices are gone. Raises KernelError."""
        mine = object()
        self._wanted[mine] = frozenset(ifindexes)
        try:
            async with self._turn:
                if mine not in self._wanted:
                    return  # who had the turn before has done it
                together = dict(self._wanted)
                await asyncio.to_thread(_remove, sorted(frozenset().union(*together.values())))
                for done in together:
                    self._wanted.pop(done, None)
        finally:
            # Who is cancelled wants nothing any more: the device may be in use again.
            self._wanted.pop(mine, None)


def _remove(ifindexes: Sequence[int]) -> None:
    delete_together(ifindexes, _ours)


def _ours(payload: bytes) -> bool:
    device = parse_vxlan(payload)
    return device is not None and is_ours(device)
