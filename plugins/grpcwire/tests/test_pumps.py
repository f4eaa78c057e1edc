"""The pumps, with a port and a stream that are none."""

import asyncio
import errno

import pytest
from meshnet_grpcwire.batch import LARGEST_BATCH
from meshnet_grpcwire.counters import Counters
from meshnet_grpcwire.pumps import Pumps
from meshnet_grpcwire.reader import Batch
from meshnet_grpcwire.segment import Limits
from meshnet_grpcwire.share import BESIDE_OTHERS, BUDGET

from meshnet.driver import StreamEnded

TURNS = 100


class Port:
    def __init__(self, number=-1):
        self.number = number

    def fileno(self):
        return self.number


class Reader:
    """Gives full batches without end, or the errors it is told to raise first."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.limits = []

    def read(self, fd, limit, *, longest):
        self.limits.append(limit)
        if self.errors:
            raise OSError(self.errors.pop(0), "told to")
        return Batch(bytes(limit), 1, limit, 0, False)


class Stuck:
    """A stream whose other side takes nothing and says nothing."""

    async def write(self, message):
        await asyncio.Event().wait()

    async def read(self):
        await asyncio.Event().wait()


class Ends(Stuck):
    """A stream that is over after some messages."""

    def __init__(self, left):
        self.left = left

    async def write(self, message):
        self.left -= 1
        if self.left < 0:
            raise StreamEnded("over")


class Open(Stuck):
    """A stream that takes every message, in a turn of the loop, as gRPC's do at least."""

    async def write(self, message):
        await asyncio.sleep(0)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 5))


def test_batches_shrink_as_more_wires_are_stuck():
    async def stuck(pumps):
        wires = [asyncio.ensure_future(pumps.carry(Port(n), Stuck(), Counters(), Limits())) for n in range(18)]
        await asyncio.sleep(0.05)
        for wire in wires:
            wire.cancel()
        await asyncio.wait(wires)

    reader = Reader()
    pumps = Pumps(reader=reader)
    run(stuck(pumps))

    assert reader.limits == [LARGEST_BATCH] + [min(BESIDE_OTHERS, BUDGET // wires) for wires in range(2, 19)]
    assert pumps.share.size(0) == BESIDE_OTHERS


def test_full_wires_are_read_one_a_turn():
    async def full(pumps):
        wires = [asyncio.ensure_future(pumps.carry(Port(n), Open(), Counters(), Limits())) for n in range(18)]
        for _ in range(TURNS):
            await asyncio.sleep(0)
        for wire in wires:
            wire.cancel()
        await asyncio.wait(wires)

    reader = Reader()
    run(full(Pumps(reader=reader)))

    later = len(reader.limits) - 18  # the first time nobody knows how much there is
    assert TURNS * 0.9 < later <= TURNS


def test_only_what_was_taken_counts_as_sent():
    counters = Counters()

    with pytest.raises(StreamEnded):
        run(Pumps(reader=Reader()).carry(Port(), Ends(3), counters, Limits()))

    assert counters.sent_frames == 3


def test_errors_of_the_past_and_of_one_frame_are_passed_over():
    counters = Counters()
    reader = Reader(errno.ENETDOWN, errno.EINVAL, errno.EINVAL)

    with pytest.raises(StreamEnded):
        run(Pumps(reader=reader).carry(Port(), Ends(1), counters, Limits()))

    assert (counters.sent_frames, counters.sent_dropped_unknown) == (1, 2)


def test_another_error_ends_it():
    with pytest.raises(OSError, match="told to"):
        run(Pumps(reader=Reader(errno.EBADF)).carry(Port(), Stuck(), Counters(), Limits()))
