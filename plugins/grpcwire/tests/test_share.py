"""The share of a full wire: all of it alone, a part beside others."""

import contextlib

import pytest
from meshnet_grpcwire.batch import LARGEST_BATCH
from meshnet_grpcwire.share import BESIDE_OTHERS, BUDGET, QUIET_S, SMALLEST, Share

FULL, IDLE = 1, 2


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def share(clock):
    return Share(clock)


def send(share, wire, size=100):
    with share.taken(wire, size):
        pass


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
def test_a_batch_is_the_smaller_the_more_are_under_way(share, under_way, size):
    with contextlib.ExitStack() as writing:
        for other in under_way:
            writing.enter_context(share.taken(FULL, other))
        assert share.size(FULL) == size
    assert share.size(FULL) == LARGEST_BATCH


def test_a_wire_alone_has_the_largest_however_much_it_sends(share):
    for _ in range(3):
        send(share, FULL, LARGEST_BATCH)
        assert share.size(FULL) == LARGEST_BATCH


def test_beside_another_that_sends_a_little_batches_are_short(share, clock):
    send(share, FULL, LARGEST_BATCH)
    assert share.size(IDLE) == BESIDE_OTHERS
    send(share, IDLE)
    assert share.size(FULL) == BESIDE_OTHERS
    send(share, FULL, BESIDE_OTHERS)
    clock.now += QUIET_S / 2
    assert share.size(FULL) == BESIDE_OTHERS


def test_beside_another_a_frame_that_is_longer_fits(share):
    send(share, IDLE)
    assert share.size(FULL, BESIDE_OTHERS + 1) == BESIDE_OTHERS + 1
    assert share.size(FULL, BESIDE_OTHERS - 1) == BESIDE_OTHERS


def test_one_that_has_been_quiet_is_not_waited_for(share, clock):
    send(share, IDLE)
    send(share, FULL)
    clock.now += QUIET_S
    assert share.size(FULL) == LARGEST_BATCH


def test_thousands_of_wires_that_are_stuck_hold_little(share):
    held = 0
    with contextlib.ExitStack() as writing:
        for wire in range(2000):
            size = share.size(wire)
            held += size
            writing.enter_context(share.taken(wire, size))

    assert held < 160 << 20
