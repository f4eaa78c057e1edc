"""How large a batch may be, so that what all wires together have under way stays small.

A batch is in memory until its stream has taken it. Thousands of wires whose peer takes nothing, or that are full, would
hold a whole batch each.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from meshnet_grpcwire.batch import LARGEST_BATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

BUDGET = 4 << 20
"""What a few full wires may have under way together, bytes; with each further one it grows by less and less."""
SMALLEST = 64 << 10


class Share:
    """The size of the next batch, by how many are being written."""

    def __init__(self) -> None:
        self._writing = 0

    @property
    def size(self) -> int:
        """Bytes."""
        return min(LARGEST_BATCH, max(SMALLEST, BUDGET // (self._writing + 1)))

    @contextlib.contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Count a batch of `size` bytes as under way for the length of a ``with``, unless it is a small one."""
        counts = size >= SMALLEST
        self._writing += counts
        try:
            yield
        finally:
            self._writing -= counts
