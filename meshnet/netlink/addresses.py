"""IP addresses of links, of both versions."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from meshnet.netlink.ifla import IFINFO, IFLA_AF_SPEC, RTM_SETLINK
from meshnet.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, Request, attribute, attributes, nested, to_u32, u32

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RTM_NEWADDR = 20
RTM_DELADDR = 21
RTM_GETADDR = 22

IFA_ADDRESS = 1
IFA_LOCAL = 2
IFA_BROADCAST = 4
IFA_FLAGS = 8
IFA_TARGET_NETNSID = 10
IFA_F_NODAD = 0x02

_IFLA_INET_CONF = 1
_PROMOTE_SECONDARIES = 20

_IFADDR = struct.Struct("=BBBBI")
_VERSIONS = (socket.AF_INET, socket.AF_INET6)


def add_address(ifindex: int, cidr: str) -> Request:
    """Give a link an address: ``10.0.0.1/24``, ``2001:db8::1/64``. IPv6 is usable at once (no duplicate detection).

    Raises ValueError when `cidr` is none.
    """
    family, packed, length = _parsed(cidr)
    if family == socket.AF_INET:
        body = _IFADDR.pack(family, length, 0, 0, ifindex) + _ends(packed) + _broadcast(packed, length)
    else:
        head = _IFADDR.pack(family, length, IFA_F_NODAD, 0, ifindex)
        body = head + attribute(IFA_ADDRESS, packed) + u32(IFA_FLAGS, IFA_F_NODAD)
    return Request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body, f"add address {cidr} to link {ifindex}")


def delete_address(ifindex: int, cidr: str) -> Request:
    """Take an address from a link; EADDRNOTAVAIL when it has not got it. Raises ValueError when `cidr` is none."""
    family, packed, length = _parsed(cidr)
    body = _IFADDR.pack(family, length, 0, 0, ifindex) + _ends(packed)
    return Request(RTM_DELADDR, 0, body, f"delete address {cidr} from link {ifindex}")


def promote_secondaries(ifindex: int, *, on: bool) -> Request:
    """Set the link's sysctl of that name: whether an IPv4 address that goes takes those of its subnet with it (off).

    EAFNOSUPPORT where the link has no IPv4.
    """
    conf = nested(socket.AF_INET, nested(_IFLA_INET_CONF, u32(_PROMOTE_SECONDARIES, int(on))))
    body = IFINFO.pack(0, 0, ifindex, 0, 0) + nested(IFLA_AF_SPEC, conf)
    return Request(RTM_SETLINK, 0, body, f"set promote_secondaries of link {ifindex}")


def parse_promote_secondaries(payload: bytes) -> bool:
    """Return the link's own sysctl of that name, from an answer to `get_link`; of all links' nothing is told."""
    families = attributes(attributes(payload, IFINFO.size).get(IFLA_AF_SPEC, b""))
    values = attributes(families.get(socket.AF_INET, b"")).get(_IFLA_INET_CONF, b"")
    return to_u32(values[4 * (_PROMOTE_SECONDARIES - 1) :][:4]) != 0


def dump_addresses(nsid: int | None = None) -> Request:
    """Ask for every address of a namespace: the socket's own, or the one with number `nsid`; see `parse_addresses`."""
    target = b"" if nsid is None else u32(IFA_TARGET_NETNSID, nsid)
    where = "" if nsid is None else f" of namespace {nsid}"
    return Request(RTM_GETADDR, 0, _IFADDR.pack(0, 0, 0, 0, 0) + target, f"list addresses{where}")


def parse_addresses(payloads: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yield (ifindex, CIDR) of each IP address in the answers to `dump_addresses`; MCTP, for one, has others."""
    return (_ip_address(payload) for payload in payloads if payload[0] in _VERSIONS)


def _ip_address(payload: bytes) -> tuple[int, str]:
    family, length, _, _, ifindex = _IFADDR.unpack_from(payload)
    found = attributes(payload, _IFADDR.size)
    # With a point-to-point peer IFA_ADDRESS is the peer's.
    packed = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
    return ifindex, f"{socket.inet_ntop(family, packed)}/{length}"


def _parsed(cidr: str) -> tuple[int, bytes, int]:
    """Return (family, address, prefix length). The ipaddress module takes ten times as long."""
    address, slash, length = cidr.partition("/")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        packed = socket.inet_pton(family, address)
        prefix = int(length)
    except (OSError, ValueError):
        prefix = -1
        packed = b""
    if not slash or not 0 <= prefix <= 8 * len(packed):
        raise ValueError(
            f"address {cidr!r}: not an IP address with a prefix length, like 10.0.0.1/24 or 2001:db8::1/64"
        )
    return family, packed, prefix


def _ends(packed: bytes) -> bytes:
    return attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)


def _broadcast(packed: bytes, length: int) -> bytes:
    if length >= 31:
        return b""
    host_bits = (1 << (32 - length)) - 1
    return attribute(IFA_BROADCAST, (int.from_bytes(packed, "big") | host_bits).to_bytes(4, "big"))
