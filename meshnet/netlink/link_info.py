"""Links as the kernel shows them."""

from __future__ import annotations

import struct
from typing import NamedTuple

from meshnet.netlink.ifla import (
    IFF_UP,
    IFINFO,
    IFLA_ADDRESS,
    IFLA_CARRIER,
    IFLA_GROUP,
    IFLA_GSO_IPV4_MAX_SIZE,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_STATS64,
)
from meshnet.netlink.wire import (
    attributes,
    text,
    to_i32,
    to_u32,
)

_WANTED = frozenset(
    (
        *(IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_IFALIAS, IFLA_GROUP),
        *(IFLA_CARRIER, IFLA_LINK_NETNSID, IFLA_GSO_IPV4_MAX_SIZE),
    )
)
_ATTRIBUTE = struct.Struct("=HH")
_STATS = struct.Struct("=8Q")


class LinkInfo(NamedTuple):
    """A link as the kernel shows it.

    Attributes:
        kind: ``veth``, ``vxlan``, ...; ``""`` for hardware.
        up: administratively up (IFF_UP).
        carrier: a cable is plugged in at the other side.
        mac: lower case with colons, ``""`` where there is none.
        link: ifindex of the peer or of the parent, 0 if none.
        link_nsid: number of the namespace that `link` is in; None when it is in the link's own.
        master: ifindex of the bridge, bond or VRF that it is in, 0 if none.
        flags: IFF_*.
        gso_ipv4_max_size: the longest frame of TCP over IPv4 that it takes uncut, bytes; 0 before Linux 6.3.
    """

    ifindex: int
    name: str
    kind: str
    up: bool
    carrier: bool
    mtu: int
    mac: str
    alias: str
    group: int
    link: int
    link_nsid: int | None
    master: int
    flags: int
    gso_ipv4_max_size: int


class LinkStats(NamedTuple):
    """Counters of a link since it was made."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_errors: int
    tx_errors: int
    rx_dropped: int
    tx_dropped: int


def parse_link(payload: bytes) -> LinkInfo:
    """Return the link in an answer to `get_link`, `dump_links` or `new_veth`."""
    _, _, ifindex, flags, _ = IFINFO.unpack_from(payload)
    found: dict[int, bytes] = {}
    offset, end, unpack = IFINFO.size, len(payload), _ATTRIBUTE.unpack_from
    # Written out: a link has sixty attributes, and adoption reads thousands of links.
    while offset + 4 <= end:
        length, kind = unpack(payload, offset)
        if length < 4:
            break
        kind &= 0x3FFF
        if kind in _WANTED:
            found[kind] = payload[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    get = found.get
    link_info = get(IFLA_LINKINFO)
    link_nsid = get(IFLA_LINK_NETNSID)
    return LinkInfo(
        ifindex=ifindex,
        name=text(get(IFLA_IFNAME, b"")),
        kind=text(attributes(link_info).get(IFLA_INFO_KIND, b"")) if link_info else "",
        up=bool(flags & IFF_UP),
        carrier=get(IFLA_CARRIER) == b"\1",
        mtu=to_u32(get(IFLA_MTU, b"")),
        mac=get(IFLA_ADDRESS, b"").hex(":"),
        alias=text(get(IFLA_IFALIAS, b"")),
        group=to_u32(get(IFLA_GROUP, b"")),
        link=to_u32(get(IFLA_LINK, b"")),
        link_nsid=None if link_nsid is None else to_i32(link_nsid),
        master=to_u32(get(IFLA_MASTER, b"")),
        flags=flags,
        gso_ipv4_max_size=to_u32(get(IFLA_GSO_IPV4_MAX_SIZE, b"")),
    )


def parse_stats(payload: bytes) -> LinkStats:
    """Return the counters in an answer to `get_link` or `dump_links`."""
    return LinkStats(*_STATS.unpack_from(attributes(payload, IFINFO.size)[IFLA_STATS64]))
