"""How long frames are let gather before the next batch is read.

A message costs both daemons a tenth of a millisecond, whatever is in it. A wire that reads as soon as anything is there
spends its time on small messages just when it has the least of it: less arrives, and it grows later. So after a batch
that tells of load the wire waits a little. One that is idle, or carries a request and its answer, never waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshnet_grpcwire.reader import Batch

GATHER_S = 0.0005
"""The event loop rounds it up to the next millisecond when it has nothing else to do."""
MANY_FRAMES = 16
LOAD_BYTES = 32 << 10
ENOUGH_BYTES = 400 << 10
"""A batch of this size is worth its message."""


def gathering(batch: Batch) -> float:
    """Return for how many seconds to let frames gather after a batch that left none."""
    loaded = batch.frames >= MANY_FRAMES or batch.size >= LOAD_BYTES
    return GATHER_S if loaded and batch.size < ENOUGH_BYTES else 0.0
