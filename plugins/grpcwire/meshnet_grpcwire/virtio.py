"""The virtio_net_hdr in front of each frame: what the kernel left to do, checksum and segmentation.

::

    u8 flags · u8 gso_type · u16 hdr_len · u16 gso_size · u16 csum_start · u16 csum_offset       little endian

The kernel takes one from us for granted as far as it can, and acts on it at the far end of a link with the rights of
the node. A peer's header is therefore looked at here first: nothing in it may point outside its frame, and nothing may
blow one frame up into very many.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from meshnet.driver import GSO_IPV4_LARGEST

HEADER: Final = struct.Struct("<BBHHHH")

NEEDS_CSUM = 1
DATA_VALID = 2
GSO_NONE = 0
GSO_TCPV4 = 1
GSO_UDP = 3
GSO_TCPV6 = 4
GSO_UDP_L4 = 5
GSO_ECN = 0x80

SHORTEST_FRAME = 14
LONGEST_WHOLE = 65535 + 14 + 8
"""An IP packet of the greatest length with two VLAN tags."""
LONGEST_FRAME = GSO_IPV4_LARGEST + 8
"""The same of TCP over IPv4 that is still to be cut, on wires that may have so long ones. Four fit into a batch."""
LONGEST_HEADERS = 4096
"""Of such a frame: the kernel gets one piece of memory for them. Those that it makes are not a tenth as long."""
SHORTEST_SEGMENT = 48
"""Linux makes no TCP segment of less, options included."""
MOST_SEGMENTS = 2048
"""Into so many the kernel may cut a frame that is not of such segments."""
TAG_BYTES = 4

_GSO_TYPES = {GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4}
_REMEMBERED = 4096


class Lengths(NamedTuple):
    """The lengths, in bytes, that a frame may have under a header. Nothing fits when `least` is above `most`."""

    least: int
    most: int


_NO_FRAME = Lengths(1, 0)


def lengths_under(header: bytes) -> Lengths:
    """Return how long a frame may be that has this header; `_NO_FRAME` for a header that is wrong by itself."""
    flags, gso_type, head, segment, csum_start, csum_offset = HEADER.unpack(header)
    if flags & ~(NEEDS_CSUM | DATA_VALID):
        return _NO_FRAME
    least, most = max(SHORTEST_FRAME, head), LONGEST_WHOLE
    if flags & NEEDS_CSUM:
        if csum_start < SHORTEST_FRAME:
            return _NO_FRAME
        least = max(least, csum_start + csum_offset + 2)
    if gso_type == GSO_NONE:
        return _NO_FRAME if segment else Lengths(least, most)
    # A frame to be cut has a checksum to be filled in: the kernel makes none without, and guesses when it gets one.
    if gso_type & ~GSO_ECN not in _GSO_TYPES or not flags & NEEDS_CSUM or not segment:
        return _NO_FRAME
    if gso_type & ~GSO_ECN == GSO_TCPV4 and 0 < head <= LONGEST_HEADERS and segment >= SHORTEST_SEGMENT:
        return Lengths(max(least, segment), LONGEST_FRAME)
    return Lengths(max(least, segment), min(most, segment * MOST_SEGMENTS))


class HeaderRules:
    """`lengths_under`, remembered: the frames of a flow have the same few headers."""

    def __init__(self) -> None:
        self._known: dict[bytes, Lengths] = {}

    def fits(self, header: bytes, length: int) -> bool:
        """Tell whether a frame of `length` bytes may have this header."""
        found = self._known.get(header)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[header] = lengths_under(header)
        return found.least <= length <= found.most


def behind_tag(header: bytes) -> bytes:
    """Return the header of a frame after a VLAN tag has been put into it."""
    flags, gso_type, head, segment, csum_start, csum_offset = HEADER.unpack(header)
    if not flags & NEEDS_CSUM:
        return header
    # A pod may write its own headers; what does not fit any more is for the far end to refuse.
    head, csum_start = (min(value + TAG_BYTES, 0xFFFF) if value else 0 for value in (head, csum_start))
    return HEADER.pack(flags, gso_type, head, segment, csum_start, csum_offset)
