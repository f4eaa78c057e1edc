"""Reading batches: what belongs into one, and what not. A socket of datagrams stands for a port's."""

import socket
import struct

import pytest
from meshnet_grpcwire.batch import LARGEST_BATCH, parse
from meshnet_grpcwire.reader import SLOT, SLOTS, TP_STATUS_VLAN_VALID, BatchReader
from meshnet_grpcwire.virtio import HEADER, LONGEST_FRAME, LONGEST_WHOLE, TAG_BYTES

LONGEST = bytes(HEADER.size) + bytes(LONGEST_WHOLE)
LONG = bytes(HEADER.size) + bytes(LONGEST_FRAME)


class TaggingReader(BatchReader):
    """Reads as if the kernel had taken a VLAN tag out of every frame."""

    def _taken(self, count, longest):
        self._statuses[:count] = memoryview(struct.pack(f"{count}I", *[TP_STATUS_VLAN_VALID] * count)).cast("I")
        return super()._taken(count, longest)


@pytest.fixture
def sockets():
    into, out = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with into, out:
        into.setblocking(False)
        into.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        yield into, out


def frames(batch):
    found = parse(batch.message)
    return [batch.message[at : at + length] for at, length in zip(found.offsets, found.lengths, strict=True)]


def test_all_that_is_there_is_one_batch(sockets):
    into, out = sockets
    sent = [bytes(HEADER.size) + bytes([number]) * (14 + number) for number in range(5)]
    for datagram in sent:
        into.send(datagram)

    batch = BatchReader().read(out.fileno())

    assert frames(batch) == sent
    assert (batch.frames, batch.size) == (5, sum(14 + number for number in range(5)))
    assert (batch.drained, batch.too_long) == (True, 0)


def test_nothing_there_is_no_message(sockets):
    batch = BatchReader().read(sockets[1].fileno())

    assert batch == (b"", 0, 0, 0, True)


def test_the_longest_frame_passes_and_a_longer_one_is_left_out(sockets):
    """A pod may let its TCP make frames longer than IP's own limit."""
    into, out = sockets
    for datagram in (LONGEST, bytes(SLOT + 5000), LONGEST[:100]):
        into.send(datagram)

    batch = BatchReader().read(out.fileno())

    assert frames(batch) == [LONGEST, LONGEST[:100]]
    assert batch.too_long == 1


@pytest.mark.parametrize("more", [1, 7, 32, SLOT - len(LONGEST)])
def test_a_frame_that_is_longer_by_little_is_left_out_as_well(sockets, more):
    """The far end would refuse its message, and every other frame in it."""
    into, out = sockets
    for datagram in (LONGEST[:100], LONGEST + bytes(more), LONGEST):
        into.send(datagram)

    batch = BatchReader().read(out.fileno())

    assert frames(batch) == [LONGEST[:100], LONGEST]
    assert batch.too_long == 1


def test_a_tag_put_back_counts(sockets):
    into, out = sockets
    for shorter in (TAG_BYTES, TAG_BYTES - 1, 0):
        into.send(LONGEST[shorter:])

    batch = TaggingReader().read(out.fileno())

    assert [len(frame) for frame in frames(batch)] == [len(LONGEST)]
    assert batch.too_long == 2


def test_only_frames_that_are_too_long_are_no_message(sockets):
    sockets[0].send(bytes(SLOT))

    batch = BatchReader().read(sockets[1].fileno())

    assert (batch.message, batch.too_long, batch.drained) == (b"", 1, True)


def test_a_long_frame_passes_where_it_may_and_no_longer_one(sockets):
    into, out = sockets
    reader = BatchReader()
    for datagram in (LONG, LONG + b"x"):
        into.send(datagram)

        batch = reader.read(out.fileno(), longest=LONGEST_FRAME)

        assert (batch.frames, batch.too_long) == ((1, 0) if datagram is LONG else (0, 1))
        assert not batch.message or frames(batch) == [LONG]


@pytest.mark.parametrize("frame", [LONGEST, LONG])
@pytest.mark.parametrize("tagged", [False, True])
def test_a_batch_of_the_longest_frames_stays_below_its_bound(frame, tagged, monkeypatch):
    """Whatever the first of them were like."""
    reader, tag = (TaggingReader(), TAG_BYTES) if tagged else (BatchReader(), 0)
    queue = [bytes(100)] * 3 + [frame[tag:]] * 40
    monkeypatch.setattr("meshnet_grpcwire.reader.receive_many", lambda _, __, count: receive(reader, queue, count))

    lengths = []
    while queue:
        batch = reader.read(-1, longest=len(frame) - HEADER.size)
        lengths.append(len(batch.message))

    assert max(lengths) <= LARGEST_BATCH < max(lengths) + 2 * len(frame)


def receive(reader, queue, count):
    """Fill a reader's slots as the kernel does."""
    taken, queue[:] = queue[:count], queue[count:]
    for number, frame in enumerate(taken):
        reader._slots[number][: len(frame)] = frame
        reader._headers[number].length = len(frame)
    return len(taken)


def test_usual_frames_take_the_memory_of_usual_ones():
    """Slots are as many as of the longest usual frames fit into a batch."""
    assert SLOTS * (len(LONGEST) + 8) < LARGEST_BATCH < (SLOTS + 2) * len(LONGEST)


def test_a_batch_of_small_frames_keeps_to_a_smaller_limit(sockets):
    into, out = sockets
    reader = BatchReader()
    for _ in range(40):
        into.send(bytes(HEADER.size) + bytes(1000))

    sizes = [reader.read(out.fileno(), 10_100).frames for _ in range(5)]

    assert sum(sizes) == 40
    assert max(sizes) == 10


@pytest.mark.parametrize(("frame", "limit", "most"), [(LONGEST, 1, 1), (LONGEST, 256 << 10, 3), (LONG, 256 << 10, 1)])
def test_one_of_long_frames_has_one_at_least_and_no_more_than_its_limit(monkeypatch, frame, limit, most):
    reader, queue = BatchReader(), [frame] * 9
    monkeypatch.setattr("meshnet_grpcwire.reader.receive_many", lambda _, __, count: receive(reader, queue, count))

    batch = reader.read(-1, limit, longest=len(frame) - HEADER.size)

    assert (batch.frames, batch.drained) == (most, False)


@pytest.mark.parametrize(("frame", "most"), [(100 << 10, 2), (130 << 10, 1)])
def test_a_limit_of_two_long_frames_is_made_use_of(monkeypatch, frame, most):
    reader, queue = BatchReader(), [bytes(frame)] * 9
    monkeypatch.setattr("meshnet_grpcwire.reader.receive_many", lambda _, __, count: receive(reader, queue, count))

    assert reader.read(-1, 256 << 10, longest=LONGEST_FRAME).frames == most


def test_one_reader_reads_for_many(sockets):
    into, out = sockets
    reader = BatchReader()
    for number in range(20):
        into.send(bytes(HEADER.size) + bytes([number]) * 60)
        assert frames(reader.read(out.fileno())) == [bytes(HEADER.size) + bytes([number]) * 60]


def test_a_closed_socket_is_an_error(sockets):
    number = sockets[1].fileno()
    sockets[1].close()

    with pytest.raises(OSError, match="Bad file descriptor"):
        BatchReader().read(number)


def test_frames_that_are_too_long_and_never_end_end_a_batch(monkeypatch):
    reader, read = BatchReader(), []

    def endless(_, __, count):
        read.append(count)
        assert len(read) < 1000
        return receive(reader, [bytes(100 << 10)] if len(read) == 1 else [LONG] * count, count)

    monkeypatch.setattr("meshnet_grpcwire.reader.receive_many", endless)

    batch = reader.read(-1, 256 << 10, longest=LONGEST_FRAME - 1)

    assert batch.frames == 1
    assert batch.too_long > 0


def test_a_batch_with_room_for_one_of_the_longest_at_most_is_sent(monkeypatch):
    """To ask for the frames one by one would take longer than to have one message more."""
    reader, read = BatchReader(), []

    def usual(_, __, count):
        read.append(count)
        return receive(reader, [bytes(9000)] * count, count)

    monkeypatch.setattr("meshnet_grpcwire.reader.receive_many", usual)
    reader.read(-1, longest=LONGEST_FRAME)

    assert read.count(1) <= 1
