import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.cni.frame import (
    MAX_ENV,
    MAX_TOTAL,
    Frame,
    FrameDecoder,
    FrameError,
    decode_reply,
    encode_reply,
    encode_request,
)

names = st.text(st.characters(exclude_characters="=\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200)


def header(version=1, total=0, envlen=0):
    return struct.pack("<BII", version, total, envlen)


@given(st.dictionaries(names, values, max_size=8), st.binary(max_size=500), st.data())
def test_a_request_arrives_whole_however_it_is_cut(env, body, data):
    wire = encode_request(env, body)
    decoder, at = FrameDecoder(), 0
    while at < len(wire):
        step = data.draw(st.integers(1, len(wire) - at))
        frame = decoder.feed(wire[at : at + step])
        at += step
        assert (frame is None) == (at < len(wire))
    assert frame == Frame(env, body)


def test_the_layout_is_the_documented_one():
    assert encode_request({"CNI_COMMAND": "ADD"}, b"{}") == b"\x01\x12\0\0\0\x10\0\0\0CNI_COMMAND=ADD\0{}"


def test_an_empty_request_is_a_frame():
    assert FrameDecoder().feed(header()) == Frame({}, b"")


def test_bytes_that_are_not_utf8_survive():
    frame = FrameDecoder().feed(header(total=6, envlen=6) + b"A=\xff\xfe1\0")
    assert frame is not None
    assert encode_request(frame.env) == header(total=6, envlen=6) + b"A=\xff\xfe1\0"


def test_of_two_equal_names_the_first_counts():
    frame = FrameDecoder().feed(header(total=8, envlen=8) + b"A=1\0A=2\0")
    assert frame == Frame({"A": "1"}, b"")


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (b"\x02", "version 2"),
        (b"GET / HTTP/1.1", "version 71"),
        (header(total=MAX_TOTAL + 1), f"total {MAX_TOTAL + 1}"),
        (header(total=0xFFFFFFFF, envlen=0xFFFFFFFF), "total 4294967295"),
        (header(total=MAX_TOTAL, envlen=MAX_ENV + 1), f"envlen {MAX_ENV + 1}"),
        (header(total=3, envlen=4), "envlen 4"),
        (header() + b"x", "1 bytes follow"),
        (header(total=3, envlen=3) + b"A=1", "NUL-terminated"),
        (header(total=2, envlen=2) + b"A\0", "NAME=VALUE"),
        (header(total=3, envlen=3) + b"=1\0", "NAME=VALUE"),
    ],
)
def test_what_is_no_frame_is_refused_and_says_why(wire, said):
    with pytest.raises(FrameError, match=said):
        FrameDecoder().feed(wire)


def test_a_wrong_length_is_refused_before_its_bytes_arrive():
    decoder = FrameDecoder()
    assert decoder.feed(header(total=MAX_TOTAL + 1)[:8]) is None
    with pytest.raises(FrameError):
        decoder.feed(header(total=MAX_TOTAL + 1)[8:])


@given(st.lists(st.binary(max_size=40), max_size=8), st.booleans())
def test_any_bytes_are_a_frame_or_refused(pieces, versioned):
    decoder = FrameDecoder()
    pieces = [b"\x01", *pieces] if versioned else pieces
    try:
        found = [decoder.feed(piece) for piece in pieces]
    except FrameError:
        return
    assert all(frame is None or isinstance(frame, Frame) for frame in found)


@given(st.integers(0, 30), st.integers(0, 30), st.binary(max_size=40))
def test_any_small_lengths_are_a_frame_or_refused(total, envlen, rest):
    try:
        frame = FrameDecoder().feed(header(total=total, envlen=envlen) + rest)
    except FrameError:
        return
    assert (frame is None) == (len(rest) < total)


@pytest.mark.parametrize("env", [{"": "1"}, {"A=B": "1"}, {"A": "\0"}, {"A\0": "1"}, {"A": "x" * MAX_ENV}])
def test_an_environment_that_cannot_be_written_is_refused(env):
    with pytest.raises(FrameError):
        encode_request(env)


def test_a_body_past_the_bound_is_refused():
    assert len(encode_request({}, b"x" * MAX_TOTAL)) == 9 + MAX_TOTAL
    with pytest.raises(FrameError, match=f"at most {MAX_ENV} of {MAX_TOTAL}"):
        encode_request({}, b"x" * (MAX_TOTAL + 1))


@pytest.mark.parametrize(("code", "byte"), [(0, b"0"), (1, b"1"), (7, b"1")])
def test_replies_carry_a_code_and_what_to_print(code, byte):
    assert encode_reply(code, "é") == byte + "é".encode()
    reply = decode_reply(encode_reply(code, b"{}"))
    assert (reply.code, reply.body) == (int(byte), b"{}")


@pytest.mark.parametrize("data", [b"", b"2{}", b"{}"])
def test_what_is_no_reply_is_refused(data):
    with pytest.raises(FrameError):
        decode_reply(data)
