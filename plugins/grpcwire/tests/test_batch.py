"""Messages: what is packed comes out again, and whatever a peer sends is either refused or stays inside itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshnet_grpcwire.batch import HEAD_BYTES, LARGEST_MESSAGE, MessageError, pack, parse
from meshnet_grpcwire.virtio import HEADER, LONGEST_FRAME, SHORTEST_FRAME

SHORTEST, LONGEST = SHORTEST_FRAME + HEADER.size, LONGEST_FRAME + HEADER.size
ONE = bytes(range(SHORTEST))
FRAMES = st.lists(st.binary(min_size=SHORTEST, max_size=300), min_size=1, max_size=20)


def packed(parts):
    return pack([len(part) for part in parts], parts)


def cut(message, frames):
    return [message[at : at + length] for at, length in zip(frames.offsets, frames.lengths, strict=True)]


@given(FRAMES)
def test_what_is_packed_comes_out(parts):
    message = packed(parts)

    assert cut(message, parse(message)) == parts


@given(st.binary(max_size=200))
def test_anything_is_refused_or_stays_inside(message):
    assert_safe(message)


@given(FRAMES, st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=4), st.integers(-40, 40))
def test_a_spoilt_message_is_refused_or_stays_inside(parts, changes, size):
    message = bytearray(packed(parts))
    for at, value in changes:
        message[at % min(len(message), HEAD_BYTES + 4 * len(parts))] = value
    assert_safe(bytes(message[:size] if size < 0 else message + bytes(size)))


def assert_safe(message):
    try:
        frames = parse(message)
    except MessageError:
        return
    assert b"".join(cut(message, frames)) == message[HEAD_BYTES + 4 * len(frames.lengths) :]
    assert all(SHORTEST <= length <= LONGEST for length in frames.lengths)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"", "a message of 0 bytes; right would be 8 to 4194304"),
        (bytes(LARGEST_MESSAGE + 1), "a message of 4194305 bytes; right would be 8 to 4194304"),
        (b"\x02" + packed([ONE])[1:], "a message of version 2; right would be 1"),
        (b"\x01" + bytes(7), "a message of 0 frames; right would be 1 to 4096"),
        (packed([ONE])[:4] + b"\xff\xff\xff\xff", "a message of 4294967295 frames"),
        (packed([ONE] * 3)[:12], "a message of 12 bytes for 3 frames"),
        (packed([ONE])[:-1], "frames that end at byte 36 of 35"),
        (packed([ONE]) + b"x", "frames that end at byte 36 of 37"),
        (packed([ONE[:-1]]), f"frames of 23 to 23 bytes; right would be 24 to {LONGEST}"),
        (packed([ONE, bytes(LONGEST + 1)]), f"frames of 24 to {LONGEST + 1} bytes"),
    ],
)
def test_what_is_wrong_is_told(message, said):
    with pytest.raises(MessageError, match=said):
        parse(message)
