"""Offload headers: which frames may have which, and what a VLAN tag does to one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshnet_grpcwire.virtio import HEADER, LONGEST_FRAME, LONGEST_WHOLE, HeaderRules, behind_tag, lengths_under

ANY = st.binary(min_size=HEADER.size, max_size=HEADER.size)
TCP = HEADER.pack(1, 1, 66, 1448, 34, 16)


@pytest.mark.parametrize(
    ("header", "length", "fits"),
    [
        (bytes(10), 14, True),
        (bytes(10), LONGEST_WHOLE, True),
        (bytes(10), LONGEST_WHOLE + 1, False),  # the kernel has nothing to cut
        (HEADER.pack(2, 0, 0, 0, 0, 0), 60, True),  # its checksum is right
        (HEADER.pack(1, 0, 0, 0, 34, 6), 42, True),
        (HEADER.pack(1, 0, 0, 0, 34, 6), 41, False),  # the checksum's place is behind its end
        (HEADER.pack(1, 0, 0, 0, 65535, 65535), LONGEST_FRAME, False),
        (HEADER.pack(1, 0, 0, 0, 13, 6), 60, False),  # in the Ethernet header
        (HEADER.pack(0, 0, 61, 0, 0, 0), 60, False),  # the head is longer than all of it
        (TCP, 65000, True),
        (TCP, 1400, False),  # one segment is longer than all of it
        (HEADER.pack(1, 0x81, 66, 1448, 34, 16), 65000, True),  # with ECN
        (TCP, LONGEST_FRAME, True),
        (HEADER.pack(1, 4, 94, 1428, 62, 16), LONGEST_WHOLE, True),
        (HEADER.pack(1, 4, 94, 1428, 62, 16), LONGEST_WHOLE + 1, False),  # the kernel loses the length of such
        (HEADER.pack(1, 1, 66, 48, 34, 16), LONGEST_FRAME, True),  # the least that TCP makes segments of
        (HEADER.pack(1, 1, 66, 47, 34, 16), LONGEST_WHOLE, True),
        (HEADER.pack(1, 1, 66, 47, 34, 16), LONGEST_WHOLE + 1, False),
        (HEADER.pack(1, 1, 0, 1448, 34, 16), LONGEST_WHOLE + 1, False),  # all of it in one piece of memory
        (HEADER.pack(1, 1, 4097, 1448, 34, 16), LONGEST_WHOLE + 1, False),
        (HEADER.pack(1, 5, 66, 1448, 34, 6), LONGEST_WHOLE + 1, False),  # UDP is not made so long
        (HEADER.pack(0, 1, 66, 1448, 0, 0), 65000, False),  # segments without checksum
        (HEADER.pack(1, 1, 66, 0, 34, 16), 65000, False),  # segments of nothing
        (HEADER.pack(1, 5, 66, 1, 34, 6), 9000, False),  # too many
        (HEADER.pack(1, 0, 66, 1448, 34, 16), 65000, False),  # segments of no kind
        (HEADER.pack(1, 2, 66, 1448, 34, 16), 65000, False),
        (HEADER.pack(1, 0x80, 66, 1448, 34, 16), 65000, False),
        (HEADER.pack(4, 0, 0, 0, 0, 0), 60, False),  # RSC_INFO is for receivers
        (HEADER.pack(0x81, 0, 0, 0, 34, 6), 60, False),
    ],
)
def test_which_frames_a_header_fits(header, length, fits):
    rules = HeaderRules()

    assert [rules.fits(header, length) for _ in range(2)] == [fits, fits]


@given(ANY, st.integers(14, LONGEST_FRAME))
def test_what_fits_stays_inside_its_frame(header, length):
    flags, gso_type, head, segment, csum_start, csum_offset = HEADER.unpack(header)
    if not HeaderRules().fits(header, length):
        return
    assert head <= length
    assert segment <= length
    assert not flags & 1 or csum_start + csum_offset + 2 <= length
    assert bool(gso_type) == bool(segment)


@given(st.lists(ANY, max_size=50))
def test_headers_are_remembered_right(headers):
    rules = HeaderRules()

    for header in headers * 2:
        least, most = lengths_under(header)
        assert rules.fits(header, 1500) == (least <= 1500 <= most)


@given(ANY)
def test_a_tag_moves_what_lies_behind_it(header):
    """Whatever a pod has written there: no number leaves its field."""
    flags, gso_type, head, segment, csum_start, csum_offset = HEADER.unpack(header)

    moved = HEADER.unpack(behind_tag(header))

    assert (*moved[:2], moved[3], moved[5]) == (flags, gso_type, segment, csum_offset)
    if flags & 1 and 0 < head < 65532 and 0 < csum_start < 65532:
        assert (moved[2], moved[4]) == (head + 4, csum_start + 4)
