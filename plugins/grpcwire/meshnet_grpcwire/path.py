"""Tells core when a wire has been without a stream for too long, and when it has one again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STREAM_LOST = "StreamLost"
STREAM_REFUSED = "StreamRefused"


class Path:
    """The state of one wire's path; begins lost. A daemon that restarts is back before anybody is told.

    Args:
        changed: is told a reason, or ``""`` when the path is back.
        grace_s: how long the path may be lost until then, seconds.
        first_s: the same for the time before it is there for the first time.

    Attributes:
        told: what core was told last; ``""`` while the path is good, as far as core knows.
    """

    def __init__(self, changed: Callable[[str], None], *, grace_s: float, first_s: float) -> None:
        self._changed = changed
        self._grace_s = grace_s
        self._wait_s = first_s
        self.told = ""
        self._timer: asyncio.TimerHandle | None = None
        self.lost(STREAM_LOST)

    def lost(self, reason: str) -> None:
        """There is no stream, for that reason; nothing new when there was none before but for another one."""
        self._reason = reason
        if self.told:
            self._tell(reason)
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._wait_s, self._overdue)

    def back(self) -> None:
        """There is a stream."""
        self.close()
        self._wait_s = self._grace_s
        self._tell("")

    def close(self) -> None:
        """Tell nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _overdue(self) -> None:
        self._timer = None
        self._tell(self._reason)

    def _tell(self, reason: str) -> None:
        if reason != self.told:
            self.told = reason
            self._changed(reason)
