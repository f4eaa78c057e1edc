"""The share of a full wire: all of it alone, a part beside others."""

import contextlib

import pytest
from meshnet_grpcwire.batch import LARGEST_BATCH
from meshnet_grpcwire.share import BUDGET, SMALLEST, Share


def sizes(*under_way):
    """The size of the next batch while these are under way, and when they are through."""
    share = Share()
    with contextlib.ExitStack() as writing:
        for size in under_way:
            writing.enter_context(share.taken(size))
        now = share.size
    return now, share.size


@pytest.mark.parametrize(
    ("under_way", "size"),
    [
        ([], LARGEST_BATCH),
        ([LARGEST_BATCH] * 3, LARGEST_BATCH),
        ([LARGEST_BATCH] * 7, BUDGET // 8),
        ([SMALLEST] * 200, SMALLEST),
        ([SMALLEST - 1] * 200, LARGEST_BATCH),
    ],
)
def test_a_batch_is_the_smaller_the_more_are_under_way(under_way, size):
    assert sizes(*under_way) == (size, LARGEST_BATCH)


def test_thousands_of_wires_that_are_stuck_hold_little():
    share = Share()
    held = 0
    with contextlib.ExitStack() as writing:
        for _ in range(2000):
            size = share.size
            held += size
            writing.enter_context(share.taken(size))

    assert held < 160 << 20
