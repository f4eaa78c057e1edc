"""The underlay as it was when the daemon began: drivers and peers were told of it, and only a new start tells them."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from meshnet.errors import InvalidObject, KernelError, MeshnetError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver.link import Underlay

log = logging.getLogger(__name__)

LOOKS = 2
"""So often in a row it must be another: a link that flaps, or a lease's renewal, may change it for a moment."""


class UnderlayWatch:
    """Looks from time to time whether peers reach this node as they were told.

    Args:
        find: returns the underlay as it is, by the address that is used if that is as good as any. Raises
            InvalidObject, KernelError.
        used: as it was found at the start.
    """

    def __init__(self, find: Callable[[], Underlay], used: Underlay) -> None:
        self._find = find
        self._used = used
        self._others = 0
        self._told = ""

    async def run(self, every_s: float) -> None:
        """Look for ever. Raises MeshnetError when the daemon must start anew; links go on as they are meanwhile."""
        while True:
            await asyncio.sleep(every_s)
            if self._used.address:
                self.look()

    def look(self) -> None:
        """Compare what is with what was. Raises MeshnetError when it is another, as was seen before."""
        try:
            now = self._find()
        except (InvalidObject, KernelError) as error:
            self._tell(f"its peers may not reach this node: {error}; mend it, or start the daemon anew")
            return
        used = self._used
        # A larger MTU harms nobody, and would be an edit of every link that gives none.
        other = (now.address, now.device) != (used.address, used.device) or now.mtu < used.mtu
        self._others = self._others + 1 if other else 0
        self._tell("")
        if self._others >= LOOKS:
            raise MeshnetError(f"the underlay was {_shown(used)} and is {_shown(now)}: the daemon must start anew")

    def _tell(self, told: str) -> None:
        """Log what is wrong, once while it is."""
        if told and told != self._told:
            log.error("underlay: %s", told)
        self._told = told


def _shown(underlay: Underlay) -> str:
    return f"{underlay.address} (interface {underlay.device}, MTU {underlay.mtu})"
