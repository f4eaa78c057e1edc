"""Packets that tests make and read by hand."""

from __future__ import annotations

import ipaddress
import socket
import struct

from meshnet.testing.frames import Frame
from meshnet.testing.traffic import internet_checksum

_ETHERNET = 14
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD
_MORE_OR_OFFSET = 0x3FFF
_FRAGMENT_HEADER = 44
_SOLICITATION = 135


def is_fragment(frame: bytes) -> bool:
    """Tell whether a frame has a piece of an IP packet that was cut on the way."""
    (kind,) = struct.unpack_from("!H", frame, _ETHERNET - 2)
    if kind == _IPV4:
        return bool(struct.unpack_from("!H", frame, _ETHERNET + 6)[0] & _MORE_OR_OFFSET)
    return kind == _IPV6 and frame[_ETHERNET + 6] == _FRAGMENT_HEADER


def neighbour_question(mac: bytes, own: str, wanted: str) -> Frame:
    """A frame to all that asks who has `wanted`: ARP or neighbour discovery, from `mac` and the address `own`."""
    source, target = ipaddress.ip_address(own).packed, ipaddress.ip_address(wanted).packed
    if len(target) == 4:
        body = struct.pack("!HHBBH", 1, _IPV4, 6, 4, 1) + mac + source + bytes(6) + target
        return Frame(f"who has {wanted}", b"\xff" * 6 + mac + struct.pack("!H", _ARP) + body + bytes(18))
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[13:]
    question = target + b"\x01\x01" + mac
    pseudo = source + group + struct.pack("!II", 8 + len(question), socket.IPPROTO_ICMPV6)
    checksum = internet_checksum(pseudo + struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + question)
    message = struct.pack("!BBHI", _SOLICITATION, 0, checksum, 0) + question
    head = struct.pack("!IHBB", 6 << 28, len(message), socket.IPPROTO_ICMPV6, 255) + source + group
    return Frame(f"who has {wanted}", b"\x33\x33" + group[12:] + mac + struct.pack("!H", _IPV6) + head + message)
