"""Links: make veths, set, delete, read."""

from __future__ import annotations

from meshnet.netlink.ifla import (
    ADDR_GEN_MODE_NONE,
    AF_INET6,
    IFF_UP,
    IFINFO,
    IFLA_ADDRESS,
    IFLA_AF_SPEC,
    IFLA_EXT_MASK,
    IFLA_GROUP,
    IFLA_GSO_IPV4_MAX_SIZE,
    IFLA_IFALIAS,
    IFLA_IFNAME,
    IFLA_INET6_ADDR_GEN_MODE,
    IFLA_MASTER,
    IFLA_MTU,
    IFLA_PROTO_DOWN,
    IFLA_TARGET_NETNSID,
    RTEXT_FILTER_SKIP_STATS,
    RTM_DELLINK,
    RTM_GETLINK,
    RTM_SETLINK,
)
from meshnet.netlink.link_info import LinkInfo, LinkStats, parse_link, parse_stats
from meshnet.netlink.veth import VethSpec, new_veth
from meshnet.netlink.wire import (
    Request,
    attribute,
    mac_bytes,
    nested,
    string,
    u8,
    u32,
)

__all__ = [
    "LinkInfo",
    "LinkStats",
    "VethSpec",
    "delete_group",
    "delete_link",
    "dump_links",
    "get_link",
    "new_veth",
    "parse_link",
    "parse_stats",
    "set_link",
]

_QUIET = nested(IFLA_AF_SPEC, nested(AF_INET6, u8(IFLA_INET6_ADDR_GEN_MODE, ADDR_GEN_MODE_NONE)))
# Without the IPv6 counters, which nobody here reads; IFLA_STATS64 is in every answer.
_SHORT = u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)


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
    master: int | None = None,
    gso_ipv4_max_size: int | None = None,
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
        master: index of the bridge to put it into.
        gso_ipv4_max_size: the longest frame of TCP over IPv4 that it takes uncut, bytes; since Linux 6.3.
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
    if master is not None:
        parts.append(u32(IFLA_MASTER, master))
    if gso_ipv4_max_size is not None:
        parts.append(u32(IFLA_GSO_IPV4_MAX_SIZE, gso_ipv4_max_size))
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


def get_link(link: int | str, nsid: int | None = None) -> Request:
    """Ask for one link by ifindex or by name."""
    ifindex, name = (0, string(IFLA_IFNAME, link)) if isinstance(link, str) else (link, b"")
    body = IFINFO.pack(0, 0, ifindex, 0, 0) + name + _options(nsid)
    return Request(RTM_GETLINK, 0, body, f"read link {_named(link, nsid)}")


def dump_links(nsid: int | None = None, *, master: int = 0) -> Request:
    """Ask for every link of a namespace, or for the ports of one: of the bridge, bond or VRF with ifindex `master`."""
    where = "" if nsid is None else f" of namespace {nsid}"
    which = u32(IFLA_MASTER, master) if master else b""
    return Request(RTM_GETLINK, 0, IFINFO.pack(0, 0, 0, 0, 0) + _options(nsid) + which, f"list links{where}")


def _options(nsid: int | None) -> bytes:
    if nsid is None:
        return _SHORT
    # -1, no number, is what a namespace has that is ending: the kernel answers EINVAL.
    return u32(IFLA_TARGET_NETNSID, nsid & 0xFFFFFFFF) + _SHORT


def _named(link: int | str, nsid: int | None) -> str:
    return str(link) if nsid is None else f"{link} of namespace {nsid}"
