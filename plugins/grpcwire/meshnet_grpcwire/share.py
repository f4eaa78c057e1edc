"""How large a batch may be, so that what all wires together have under way stays small and none waits long for another.

A batch is in memory until its stream has taken it: thousands of wires whose peer takes nothing, or that are full, would
hold a whole batch each. And while one is packed, encrypted and written, no other wire is served.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from meshnet_grpcwire.batch import LARGEST_BATCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUDGET = 4 << 20
"""What a few full wires may have under way together, bytes; with each further one it grows by less and less."""
SMALLEST = 64 << 10
BESIDE_OTHERS = 144 << 10
"""The largest batch while another wire carries frames, bytes: two of 64 KiB, a third of a millisecond of its time at
each end. A longer frame goes by itself."""
QUIET_S = 0.1
"""Who has sent nothing for so long is not waited for: a single frame, as every pod sends one now and then, bears the
time of a whole batch, and a full wire keeps its speed."""


class Share:
    """The size of the next batch of a wire, by which others are at work.

    A wire is named by any number that no other has at the time. `clock` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._writing = 0
        # Which wire was last to send, and when one had sent before that was another.
        self._last: int | None = None
        self._other_sent = -QUIET_S

    def size(self, wire: int, longest: int = 0) -> int:
        """Return how many bytes the next batch of `wire` may have, whose frames have up to `longest`."""
        alone = self._last in {None, wire} and self._clock() - self._other_sent >= QUIET_S
        most = LARGEST_BATCH if alone else max(BESIDE_OTHERS, longest)
        return min(most, max(SMALLEST, BUDGET // (self._writing + 1)))

    @contextlib.contextmanager
    def taken(self, wire: int, size: int) -> Iterator[None]:
        """Count a batch of `size` bytes as under way for the length of a ``with``, unless it is a small one."""
        if self._last is not None and self._last != wire:
            self._other_sent = self._clock()
        self._last = wire
        counts = size >= SMALLEST
        self._writing += counts
        try:
            yield
        finally:
            self._writing -= counts
