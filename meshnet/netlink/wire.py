"""Netlink on the wire: messages, attributes, and the request that the other modules build.

Everything is in host byte order and aligned to four bytes, as the kernel has it.
"""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

# Flags of a message.
NLM_F_REQUEST = 0x1
NLM_F_ACK = 0x4
NLM_F_ECHO = 0x8
NLM_F_DUMP_INTR = 0x10
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_DUMP = 0x300
NLM_F_ACK_TLVS = 0x200

# Types of a message that every netlink family has.
NLMSG_ERROR = 2
NLMSG_DONE = 3

NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

HEADER = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence number, port."""

_ORDER = sys.byteorder
_ATTRIBUTE = struct.Struct("=HH")
_U8 = struct.Struct("=HHB3x")
_U16 = struct.Struct("=HHH2x")
_U32 = struct.Struct("=HHI")


class Request(NamedTuple):
    """A message to the kernel, not yet numbered.

    Attributes:
        type: RTM_*.
        flags: NLM_F_*, without REQUEST, ACK and DUMP, which the socket adds.
        body: what follows the header.
        what: the request in words, for an error.
    """

    type: int
    flags: int
    body: bytes
    what: str


def attribute(kind: int, data: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(4 + len(data), kind) + data + bytes(-len(data) & 3)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(parts))


def u8(kind: int, value: int) -> bytes:
    """An attribute of one byte."""
    return _U8.pack(5, kind, value)


def u16(kind: int, value: int) -> bytes:
    """An attribute of two bytes."""
    return _U16.pack(6, kind, value)


def u32(kind: int, value: int) -> bytes:
    """An attribute of four bytes."""
    return _U32.pack(8, kind, value)


def string(kind: int, value: str) -> bytes:
    """An attribute of text, NUL-terminated."""
    return attribute(kind, value.encode() + b"\0")


def walk(payload: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (type without flags, value) of each attribute from `offset` on; a torn one ends the walk."""
    end = len(payload)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if length < 4 or offset + length > end:
            return
        yield kind & NLA_TYPE_MASK, payload[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def attributes(payload: bytes, offset: int = 0) -> dict[int, bytes]:
    """Return the attributes from `offset` on by type; of equal types the last."""
    return dict(walk(payload, offset))


def text(value: bytes) -> str:
    """Return the text of a string attribute."""
    return value.split(b"\0", 1)[0].decode(errors="replace")


def to_u32(value: bytes) -> int:
    """Return an attribute's four bytes as an unsigned number."""
    return int.from_bytes(value[:4], _ORDER)


def to_i32(value: bytes) -> int:
    """Return an attribute's four bytes as a signed number."""
    return int.from_bytes(value[:4], _ORDER, signed=True)


def mac_bytes(mac: str) -> bytes:
    """Return the six bytes of ``02:00:00:00:00:01``.

    Raises ValueError for anything else.
    """
    try:
        raw = bytes.fromhex(mac.replace(":", ""))
    except ValueError:
        raw = b""
    if len(raw) != 6:
        raise ValueError(f"MAC {mac!r}: not six bytes in hexadecimal with colons")
    return raw
