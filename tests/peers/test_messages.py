"""What daemons say to each other, and what no message of another can do."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.model.session import EndState
from meshnet.model.topology import Endpoint
from meshnet.peers.messages import (
    MAX_MESSAGE,
    SIGN_OF_LIFE,
    Hello,
    Told,
    agree,
    decode_hello,
    decode_told,
    encode_ends,
    encode_hello,
)

PLACES = st.builds(Endpoint, st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
STATES = st.builds(
    EndState,
    epoch=st.integers(0, 1 << 40),
    driver=st.text(max_size=5),
    patched=st.none() | PLACES,
    patched_epoch=st.integers(0, 9),
    up=st.booleans(),
    reason=st.text(max_size=5),
    offer=st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3)),
)


def told(messages):
    """What a reader has after all of them."""
    states = {}
    decoded = [decode_told(message) for message in messages]
    for message in decoded:
        states.update(message.states)
    return states, decoded


@given(st.dictionaries(PLACES, st.none() | STATES), st.booleans())
def test_what_is_told_is_heard(states, whole):
    heard, decoded = told(encode_ends(states, whole=whole))
    assert heard == states
    assert [message.more for message in decoded[:-1]] == [True] * (len(decoded) - 1)
    assert all(message.whole is whole for message in decoded)
    assert bool(decoded) == (whole or bool(states))


@pytest.mark.parametrize("offer", [{}, {"key": "x" * 5000}])
def test_many_ends_are_several_messages(offer):
    states = {Endpoint("default", f"r{n}", "eth1"): EndState(n, offer=offer) for n in range(2345)}
    messages = list(encode_ends(states, whole=True))
    assert len(messages) > 4
    assert max(map(len, messages)) <= MAX_MESSAGE
    heard, decoded = told(messages)
    assert heard == states
    assert [message.more for message in decoded] == [True] * (len(messages) - 1) + [False]


def test_nothing_at_all_is_a_whole_too():
    assert list(map(decode_told, encode_ends({}, whole=True))) == [Told(whole=True)]


def test_a_sign_of_life_tells_nothing():
    assert decode_told(SIGN_OF_LIFE) == Told()


def test_unknown_fields_are_ignored():
    row = ["default", "r1", "eth1", {"epoch": 3, "mood": "good"}, "more"]
    message = json.dumps({"ends": [row], "weather": {}}).encode()
    assert decode_told(message).states == {Endpoint("default", "r1", "eth1"): EndState(3)}
    hello = json.dumps({"hello": {"node": "a", "protocol": [1, 2, 9], "hobby": 1}}).encode()
    assert decode_hello(hello) == Hello("a", (1, 2))


def test_a_hello_is_heard():
    hello = Hello("node-1", (2, 3), "1.2")
    assert decode_hello(encode_hello(hello)) == hello


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"{",
        b"[" * 200_000,
        b'{"ends": {}}',
        b'{"ends": [1]}',
        b'{"ends": [["a", "b", "c"]]}',
        b'{"ends": [["a", "b", 1, null]]}',
        b'{"ends": [["a", "b", "c", 7]]}',
        b'{"ends": [["a", "b", "c", {}]]}',
        b'{"ends": [["a", "b", "c", {"epoch": "1"}]]}',
        b'{"ends": [["a", "b", "c", {"epoch": true}]]}',
        b'{"ends": [["a", "b", "c", {"epoch": 1, "up": 1}]]}',
        b'{"ends": [["a", "b", "c", {"epoch": 1, "offer": []}]]}',
        b'{"ends": [["a", "b", "c", {"epoch": 1, "receive_id": -1}]]}',
        b'{"ends": [["a", "b", "c", {"epoch": 1, "receive_id": 16777216}]]}',
        b'{"ends": [["a", "b", "c", {"epoch": 1, "patched": ["a"]}]]}',
    ],
)
def test_what_is_no_message_is_a_value_error(message):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        decode_told(message)


@pytest.mark.parametrize(
    "message",
    [
        b"{}",
        b'{"hello": []}',
        b'{"hello": {"node": 1, "protocol": [1, 1]}}',
        b'{"hello": {"node": "b", "protocol": [2, 1]}}',
        b'{"hello": {"node": "b", "protocol": [1, %s]}}' % (b"9" * 4000),
        b"\x00",
    ],
)
def test_what_is_no_hello_is_a_value_error(message):
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        decode_hello(message)


@given(st.binary(max_size=200))
def test_bytes_are_a_message_or_a_value_error(raw):
    for decode in (decode_told, decode_hello):
        try:
            decode(raw)
        except ValueError:
            continue


@pytest.mark.parametrize(
    ("ours", "theirs", "version"),
    [((1, 1), (1, 1), 1), ((1, 3), (2, 5), 3), ((4, 5), (1, 4), 4), ((2, 3), (1, 1), None), ((1, 1), (2, 2), None)],
)
def test_the_newest_version_of_both_is_spoken(ours, theirs, version):
    assert agree(ours, theirs) == version
