"""How often a file of ours is written while somebody else undoes it: at once at first, then ever more seldom."""

from __future__ import annotations

from collections import deque

WINDOW_S = 120.0
FREE = 3
"""Writes within the window that are nobody's fault: networks write their list in several steps."""
LONGEST_S = 60.0


class Pace:
    """Counts writes; times are those of one monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._writes: deque[float] = deque(maxlen=FREE + 7)

    def wrote(self, now: float) -> None:
        """Note a write."""
        self._writes.append(now)

    def wait_s(self, now: float) -> float:
        """How long to leave the list alone from `now` on."""
        excess = self.recent(now) - FREE
        if excess <= 0:
            return 0.0
        return max(0.0, self._writes[-1] + min(LONGEST_S, 2.0 ** (excess - 1)) - now)

    def recent(self, now: float) -> int:
        """How many writes there were within the window."""
        return sum(now - write <= WINDOW_S for write in self._writes)

    def contested(self, now: float) -> bool:
        """Whether there were more than one would expect."""
        return self.recent(now) > FREE
