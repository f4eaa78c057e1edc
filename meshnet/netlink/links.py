"""Links: make veths, set, delete, read."""

from __future__ import annotations

import struct
from typing import NamedTuple

from meshnet.netlink.wire import (
    NLA_F_NESTED,
    NLM_F_CREATE,
    NLM_F_ECHO,
    NLM_F_EXCL,
    Request,
    attribute,
    attributes,
    mac_bytes,
    nested,
    string,
    text,
    to_i32,
    to_u32,
    u8,
    u32,
)

RTM_NEWLINK = 16
RTM_DELLINK = 17
RTM_GETLINK = 18
RTM_SETLINK = 19

IFLA_ADDRESS = 1
IFLA_IFNAME = 3
IFLA_MTU = 4
IFLA_LINK = 5
IFLA_MASTER = 10
IFLA_LINKINFO = 18
IFLA_IFALIAS = 20
IFLA_STATS64 = 23
IFLA_AF_SPEC = 26
IFLA_GROUP = 27
IFLA_NET_NS_FD = 28
IFLA_EXT_MASK = 29
IFLA_NUM_TX_QUEUES = 31
IFLA_NUM_RX_QUEUES = 32
IFLA_CARRIER = 33
IFLA_LINK_NETNSID = 37
IFLA_PROTO_DOWN = 39
IFLA_TARGET_NETNSID = 46
IFLA_INFO_KIND = 1
IFLA_INFO_DATA = 2
VETH_INFO_PEER = 1
IFLA_INET6_ADDR_GEN_MODE = 8
ADDR_GEN_MODE_NONE = 1

IFF_UP = 0x1
AF_INET6 = 10
RTEXT_FILTER_SKIP_STATS = 8

IFINFO = struct.Struct("=BxHiII")
"""struct ifinfomsg: family, device type, ifindex, flags, change mask."""

# A whole veth in one piece: every attribute of known size, names padded with NULs to the longest.
_ONE_QUEUE = "HHI HHI"
_END = "BxHiII HH16s HHI HH6s2x" + _ONE_QUEUE
_VETH = struct.Struct("=" + _END + "HHI" + "HH HH5s3x HH HH" + _END + "HHI")
_PEER_LENGTH = 4 + struct.calcsize("=" + _END + "HHI")
_DATA_LENGTH = 4 + _PEER_LENGTH
_LINKINFO_LENGTH = 4 + 12 + _DATA_LENGTH
_QUEUES = (8, IFLA_NUM_TX_QUEUES, 1, 8, IFLA_NUM_RX_QUEUES, 1)
_NESTS = (
    *(_LINKINFO_LENGTH, IFLA_LINKINFO | NLA_F_NESTED),
    *(9, IFLA_INFO_KIND, b"veth"),
    *(_DATA_LENGTH, IFLA_INFO_DATA | NLA_F_NESTED),
    *(_PEER_LENGTH, VETH_INFO_PEER | NLA_F_NESTED),
)
_QUIET = nested(IFLA_AF_SPEC, nested(AF_INET6, u8(IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODE_NONE)))
_NO_STATS = u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
_WANTED = frozenset(
    (
        *(IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_IFALIAS, IFLA_GROUP),
        *(IFLA_CARRIER, IFLA_LINK_NETNSID),
    )
)
_ATTRIBUTE = struct.Struct("=HH")
_STATS = struct.Struct("=8Q")


class VethSpec(NamedTuple):
    """A veth to be made: the port in the socket's namespace, its peer in another. Both admin down, one queue each way.

    Attributes:
        port_name, port_ifindex, port_mac: of the port; the ifindex is free (EBUSY otherwise).
        group: of the port, for deleting many at once.
        mtu: of both ends, bytes.
        peer_name, peer_mac: of the other end.
        peer_netns_fd: the namespace it is made in.
        peer_ifindex: wanted there; 0 lets the kernel choose.
    """

    port_name: str
    port_ifindex: int
    port_mac: str
    group: int
    mtu: int
    peer_name: str
    peer_mac: str
    peer_netns_fd: int
    peer_ifindex: int = 0


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


def new_veth(spec: VethSpec) -> Request:
    """Make a veth. The answer is the port's link: its ifindex, the peer's (`link`) and the peer's `link_nsid`."""
    mtu = spec.mtu
    body = _VETH.pack(
        *(0, 0, spec.port_ifindex, 0, 0),
        *(20, IFLA_IFNAME, spec.port_name.encode(), 8, IFLA_MTU, mtu, 10, IFLA_ADDRESS, mac_bytes(spec.port_mac)),
        *_QUEUES,
        *(8, IFLA_GROUP, spec.group),
        *_NESTS,
        *(0, 0, spec.peer_ifindex, 0, 0),
        *(20, IFLA_IFNAME, spec.peer_name.encode(), 8, IFLA_MTU, mtu, 10, IFLA_ADDRESS, mac_bytes(spec.peer_mac)),
        *_QUEUES,
        *(8, IFLA_NET_NS_FD, spec.peer_netns_fd),
    )
    what = f"make veth {spec.port_name} (index {spec.port_ifindex}) to {spec.peer_name}"
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, body, what)


def set_link(
    ifindex: int,
    *,
    up: bool | None = None,
    mtu: int | None = None,
    mac: str | None = None,
    alias: str | None = None,
    group: int | None = None,
    name: str | None = None,
    quiet: bool = False,
    protodown: bool | None = None,
) -> Request:
    """Change what is given, in one step. The link is in the socket's own namespace.

    There is no `nsid` here: the kernel reads and deletes a link by its namespace's number, but in a change that number
    means *move it there*.

    Args:
        ifindex: of the link.
        up: administrative state.
        mtu: bytes.
        mac: with colons.
        alias: at most 255 bytes.
        group: for deleting many at once.
        name: the new name.
        quiet: IPv6 address generation `none`, so that the link sends nothing by itself.
        protodown: take the carrier away, or give it back.
    """
    parts = [IFINFO.pack(0, 0, ifindex, IFF_UP if up else 0, 0 if up is None else IFF_UP)]
    if mtu is not None:
        parts.append(u32(IFLA_MTU, mtu))
    if mac is not None:
        parts.append(attribute(IFLA_ADDRESS, mac_bytes(mac)))
    if alias is not None:
        parts.append(attribute(IFLA_IFALIAS, alias.encode()))
    if group is not None:
        parts.append(u32(IFLA_GROUP, group))
    if name is not None:
        parts.append(string(IFLA_IFNAME, name))
    if quiet:
        parts.append(_QUIET)
    if protodown is not None:
        parts.append(u8(IFLA_PROTO_DOWN, int(protodown)))
    return Request(RTM_SETLINK, 0, b"".join(parts), f"set link {ifindex}")


def delete_link(ifindex: int, nsid: int | None = None) -> Request:
    """Delete a link. Takes 20 ms of the kernel's lock: in a thread, and many together by `delete_group`."""
    target = b"" if nsid is None else u32(IFLA_TARGET_NETNSID, nsid)
    return Request(RTM_DELLINK, 0, IFINFO.pack(0, 0, ifindex, 0, 0) + target, f"delete link {_named(ifindex, nsid)}")


def delete_group(group: int) -> Request:
    """Delete every link of `group`, whoever made it; ENODEV when there is none. In a thread."""
    return Request(
        RTM_DELLINK, 0, IFINFO.pack(0, 0, 0, 0, 0) + u32(IFLA_GROUP, group), f"delete links of group {group}"
    )


def get_link(link: int | str, nsid: int | None = None, *, stats: bool = False) -> Request:
    """Ask for one link by ifindex or by name; `stats` for `parse_stats` to find something."""
    ifindex, name = (0, string(IFLA_IFNAME, link)) if isinstance(link, str) else (link, b"")
    body = IFINFO.pack(0, 0, ifindex, 0, 0) + name + _options(nsid, stats)
    return Request(RTM_GETLINK, 0, body, f"read link {_named(link, nsid)}")


def dump_links(nsid: int | None = None, *, stats: bool = False) -> Request:
    """Ask for every link of a namespace."""
    where = "" if nsid is None else f" of namespace {nsid}"
    return Request(RTM_GETLINK, 0, IFINFO.pack(0, 0, 0, 0, 0) + _options(nsid, stats), f"list links{where}")


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
    )


def parse_stats(payload: bytes) -> LinkStats | None:
    """Return the counters in an answer to a request with `stats=True`; None when it carries none."""
    stats = attributes(payload, IFINFO.size).get(IFLA_STATS64)
    return None if stats is None else LinkStats(*_STATS.unpack_from(stats))


def _options(nsid: int | None, stats: bool) -> bytes:
    target = b"" if nsid is None else u32(IFLA_TARGET_NETNSID, nsid)
    return target if stats else target + _NO_STATS


def _named(link: int | str, nsid: int | None) -> str:
    return str(link) if nsid is None else f"{link} of namespace {nsid}"
