"""Packing and walking attributes."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.netlink import wire


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40)))
def test_what_is_packed_is_found_again(values: dict[int, bytes]) -> None:
    payload = b"".join(wire.attribute(kind, data) for kind, data in values.items())

    assert len(payload) % 4 == 0
    assert wire.attributes(payload) == values


@given(st.binary(max_size=200), st.integers(0, 210))
def test_garbage_ends_the_walk(payload: bytes, offset: int) -> None:
    assert sum(4 + len(value) for _, value in wire.walk(payload, offset)) <= max(0, len(payload) - offset)


def test_numbers_are_in_the_machines_byte_order() -> None:
    found = wire.attributes(wire.u8(1, 7) + wire.u16(2, 0x1234) + wire.u32(3, 0xFFFFFFFF))

    assert {1: b"\x07", 2: (0x1234).to_bytes(2, sys.byteorder), 3: b"\xff" * 4} == found
    assert wire.to_u32(found[3]) == 0xFFFFFFFF
    assert wire.to_i32(found[3]) == -1


def test_nested_attributes_lose_the_flag_in_the_walk() -> None:
    payload = wire.nested(5, wire.string(1, "veth"), wire.u32(2, 9))

    assert payload[3] & 0x80
    ((kind, value),) = wire.walk(payload)
    assert kind == 5
    assert wire.text(wire.attributes(value)[1]) == "veth"


def test_text_ends_at_the_first_nul_and_survives_bad_bytes() -> None:
    assert wire.text(b"eth1\0\0\0") == "eth1"
    assert wire.text(b"") == ""
    assert wire.text(b"\xff\0") == "\ufffd"


def test_a_mac_is_six_bytes() -> None:
    assert wire.mac_bytes("02:00:5e:10:00:ff") == bytes.fromhex("02005e1000ff")


@pytest.mark.parametrize("mac", ["", "02:00:00:00:00", "02:00:00:00:00:00:00", "zz:00:00:00:00:00"])
def test_mac_that_is_none(mac: str) -> None:
    with pytest.raises(ValueError, match="MAC"):
        wire.mac_bytes(mac)
