"""Cuts a long frame of TCP over IPv4 into usual ones, for when the kernel has no room for it in one.

The frame of a packet socket lies in sixteen pieces of memory, seventeen with some kernels: of eight pages in a row
while there are such, of one page where memory is fragmented. A usual frame always fits. Each header becomes what the
kernel itself makes of it for segments (net/ipv4/tcp_offload.c, net/ipv4/af_inet.c).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from meshnet_grpcwire.virtio import GSO_ECN, GSO_NONE, GSO_TCPV4, HEADER, TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_PACKET: Final = 65535
"""Of IP, headers included, bytes."""
_ETHERNET = 14
_IPV4 = b"\x08\x00"
_SHORTEST_IP, _SHORTEST_TCP = 20, 20
_PROTOCOL_TCP = 6
_CHECKSUM = 16
"""Where it is in TCP's header."""
_FRAGMENT_BITS = 0x3FFF
_FIN, _PSH, _CWR = 0x01, 0x08, 0x80


class Part(NamedTuple):
    """A frame of its own: headers, virtio's first, and what follows them."""

    head: bytes
    body: memoryview


def cut(frame: memoryview) -> list[Part]:
    """Return what to send instead of a frame, in order; nothing for a frame that this is not made for.

    Args:
        frame: with its virtio_net_hdr, which has passed `HeaderRules`.
    """
    found = _Headers.of(frame)
    return [] if found is None else list(found.parts(frame))


class _Headers(NamedTuple):
    """What virtio's header says of a frame, and where IP, TCP and the payload begin in it."""

    flags: int
    gso_type: int
    segment: int
    ip: int
    tcp: int
    payload: int

    @classmethod
    def of(cls, frame: memoryview) -> _Headers | None:
        """Return those of a frame; None when they are not what the frame says, or leave no room for a segment."""
        flags, gso_type, _, segment, start, offset = HEADER.unpack_from(frame)
        tcp = HEADER.size + start
        if gso_type & ~GSO_ECN != GSO_TCPV4 or offset != _CHECKSUM or len(frame) < tcp + _SHORTEST_TCP:
            return None
        ip = _where_ip_begins(frame, tcp)
        payload = tcp + (frame[tcp + 12] >> 4) * 4
        if ip is None or not tcp + _SHORTEST_TCP <= payload < len(frame):
            return None
        fits = 0 < segment <= _LONGEST_PACKET - (payload - ip)
        return cls(flags, gso_type, segment, ip, tcp, payload) if fits else None

    def parts(self, frame: memoryview) -> Iterator[Part]:
        step = (_LONGEST_PACKET - (self.payload - self.ip)) // self.segment * self.segment
        for begin in range(self.payload, len(frame), step):
            body = frame[begin : begin + step]
            yield Part(self._head(frame, begin - self.payload, len(body)), body)

    def _head(self, frame: memoryview, behind: int, length: int) -> bytes:
        """Return the headers of a part that begins so many bytes `behind` the first, with `length` bytes of payload."""
        # The kernel counts TCP's options as payload when it looks whether there is something to cut.
        gso_type, segment = (self.gso_type, self.segment) if length > self.segment else (GSO_NONE, 0)
        start, head = self.tcp - HEADER.size, self.payload - HEADER.size
        virtio = HEADER.pack(self.flags, gso_type, head, segment, start, _CHECKSUM)
        ip, tcp = self._ip(frame, behind, length), self._tcp(frame, behind, length)
        return b"".join([virtio, frame[HEADER.size : self.ip], ip, tcp])

    def _ip(self, frame: memoryview, behind: int, length: int) -> bytes:
        head = bytearray(frame[self.ip : self.tcp])
        (identification,) = struct.unpack_from("!H", head, 4)
        identification = (identification + behind // self.segment) & 0xFFFF
        struct.pack_into("!HH", head, 2, self.payload - self.ip + length, identification)
        struct.pack_into("!H", head, 10, 0)
        words = struct.unpack(f"!{len(head) // 2}H", head)
        struct.pack_into("!H", head, 10, _fold(sum(words)) ^ 0xFFFF)
        return bytes(head)

    def _tcp(self, frame: memoryview, behind: int, length: int) -> bytes:
        head = bytearray(frame[self.tcp : self.payload])
        (sequence,) = struct.unpack_from("!I", head, 4)
        struct.pack_into("!I", head, 4, (sequence + behind) & 0xFFFFFFFF)
        last = self.payload + behind + length == len(frame)
        head[13] &= ~((0 if last else _FIN | _PSH) | (_CWR if behind else 0))
        # What stands there is the sum of addresses, protocol and length; the rest is done for each segment.
        (begun,) = struct.unpack_from("!H", head, _CHECKSUM)
        shorter = _fold(len(frame) - self.tcp) ^ 0xFFFF
        struct.pack_into("!H", head, _CHECKSUM, _fold(begun + shorter + len(head) + length))
        return bytes(head)


def _where_ip_begins(frame: memoryview, tcp: int) -> int | None:
    """Return where the IPv4 header is that ends where TCP begins; None when there is none, or it is a fragment's."""
    for tags in range(3):
        ip = HEADER.size + _ETHERNET + TAG_BYTES * tags
        if ip + _SHORTEST_IP > tcp or frame[ip - 2 : ip] != _IPV4:
            continue
        (fragment,) = struct.unpack_from("!H", frame, ip + 6)
        ends_there = frame[ip] >> 4 == 4 and (frame[ip] & 0xF) * 4 == tcp - ip
        return ip if ends_there and frame[ip + 9] == _PROTOCOL_TCP and not fragment & _FRAGMENT_BITS else None
    return None


def _fold(total: int) -> int:
    """Return a sum of 16-bit words as one (RFC 1071)."""
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)
