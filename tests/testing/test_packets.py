"""Packets made and read by hand."""

import struct

import pytest

from meshnet.testing.packets import is_fragment, neighbour_question
from meshnet.testing.traffic import internet_checksum

MAC = bytes.fromhex("0200000000aa")


def ipv4(flags):
    return bytes(12) + b"\x08\x00" + bytes(6) + struct.pack("!H", flags) + bytes(12)


@pytest.mark.parametrize(("flags", "fragment"), [(0, False), (0x4000, False), (0x2000, True), (185, True)])
def test_a_fragment_is_known_by_its_offset_or_by_more_to_come(flags, fragment):
    assert is_fragment(ipv4(flags)) is fragment


@pytest.mark.parametrize(("following", "fragment"), [(17, False), (44, True)])
def test_an_ipv6_fragment_is_known_by_its_header(following, fragment):
    assert is_fragment(bytes(12) + b"\x86\xdd" + bytes(6) + bytes([following]) + bytes(33)) is fragment


def test_other_frames_are_no_fragments():
    assert not is_fragment(bytes(12) + b"\x88\xcc" + b"\xff" * 46)


def test_an_arp_question():
    frame = neighbour_question(MAC, "10.0.1.1", "198.51.100.2").data

    assert frame[:14] == b"\xff" * 6 + MAC + b"\x08\x06"
    assert frame[22:28] == MAC
    assert frame[28:32] == bytes([10, 0, 1, 1])
    assert frame[38:42] == bytes([198, 51, 100, 2])
    assert len(frame) == 60


def test_a_neighbour_solicitation_has_its_group_and_a_right_checksum():
    frame = neighbour_question(MAC, "2001:db8:1::1", "2001:db8:ffff::2").data
    source, group, message = frame[22:38], frame[38:54], frame[54:]

    assert frame[:6] == bytes.fromhex("3333ff000002")
    assert group == bytes.fromhex("ff0200000000000000000001ff000002")
    assert internet_checksum(source + group + struct.pack("!II", len(message), 58) + message) == 0
