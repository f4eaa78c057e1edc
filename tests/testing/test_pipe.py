"""A pipe: in order, bounded, ended for both sides at once; its ends in two event loops, as drivers' are."""

import asyncio
import contextlib

import pytest

from meshnet.driver.context import LARGEST_MESSAGE
from meshnet.errors import StreamEnded
from meshnet.testing.loop import LoopThread
from meshnet.testing.pipe import ROOM, pipe

LIMIT_S = 5.0


@pytest.fixture
def loops():
    with contextlib.closing(LoopThread()) as one, contextlib.closing(LoopThread()) as other:
        yield one, other


async def send(end, count):
    for number in range(count):
        await end.write(b"%d" % number)


async def receive(end, count):
    return [await end.read() for _ in range(count)]


def test_messages_arrive_whole_and_in_order_in_another_loop(loops):
    near, far = pipe()

    writing = loops[0].spawn(send(near, 1000))

    assert loops[1].run(receive(far, 1000), limit_s=LIMIT_S) == [b"%d" % number for number in range(1000)]
    writing.result(LIMIT_S)


def test_both_directions_are_apart(loops):
    near, far = pipe()
    loops[0].run(near.write(b"there"), limit_s=LIMIT_S)
    loops[1].run(far.write(b"back"), limit_s=LIMIT_S)

    assert loops[0].run(near.read(), limit_s=LIMIT_S) == b"back"
    assert loops[1].run(far.read(), limit_s=LIMIT_S) == b"there"


def test_a_writer_waits_while_nobody_reads(loops):
    near, far = pipe()
    writing = loops[0].spawn(send(near, ROOM + 1))

    with pytest.raises(TimeoutError):
        writing.result(0.1)
    loops[1].run(far.read(), limit_s=LIMIT_S)

    writing.result(LIMIT_S)


@pytest.mark.parametrize("closing", [0, 1])
def test_it_ends_for_who_waits_at_either_side(loops, closing):
    ends = pipe()
    reading = loops[1].spawn(ends[1].read())
    writing = loops[0].spawn(send(ends[0], 0))
    writing.result(LIMIT_S)

    ends[closing].close()
    ends[closing].close()

    with pytest.raises(StreamEnded):
        reading.result(LIMIT_S)
    for end in ends:
        with pytest.raises(StreamEnded):
            loops[0].run(end.write(b"late"), limit_s=LIMIT_S)


def test_what_was_not_delivered_is_lost(loops):
    near, far = pipe()
    loops[0].run(near.write(b"late"), limit_s=LIMIT_S)

    near.close()

    with pytest.raises(StreamEnded):
        loops[1].run(far.read(), limit_s=LIMIT_S)


@pytest.mark.parametrize("message", ["text", bytearray(1)])
def test_a_message_is_bytes(message):
    with pytest.raises(TypeError, match="a message is bytes"):
        asyncio.run(pipe()[0].write(message))


@pytest.mark.parametrize("size", [0, LARGEST_MESSAGE + 1])
def test_a_message_is_neither_empty_nor_too_long(size):
    """As between daemons."""
    with pytest.raises(ValueError, match=f"a message of {size} bytes: a stream takes 1 to 4194304"):
        asyncio.run(pipe()[0].write(bytes(size)))
