"""What macvlan asks of the kernel beyond what every link needs, and what it reads of one."""

from __future__ import annotations

import enum
from typing import NamedTuple

from meshnet.netlink import LinkInfo, Request
from meshnet.netlink.ifla import (
    IFINFO,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINKINFO,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    IFLA_PROTO_DOWN,
    RTM_NEWLINK,
)
from meshnet.netlink.links import parse_link
from meshnet.netlink.wire import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    attribute,
    attributes,
    mac_bytes,
    nested,
    string,
    to_u32,
    u32,
)

KIND = "macvlan"
IFLA_MACVLAN_MODE = 1


class Mode(enum.Enum):
    """How the macvlans of one parent see each other; the value is how a user writes it."""

    PRIVATE = "private"
    """Not at all."""
    VEPA = "vepa"
    """Through the switch that the parent is connected to."""
    BRIDGE = "bridge"
    """Directly."""
    PASSTHRU = "passthru"
    """There is only one, and it has the parent's MAC: the parent is given to the pod whole."""


_NUMBERS = {Mode.PRIVATE: 1, Mode.VEPA: 2, Mode.BRIDGE: 4, Mode.PASSTHRU: 8}
_MODES = {number: mode for mode, number in _NUMBERS.items()}


class Macvlan(NamedTuple):
    """A macvlan as the kernel shows it; `mode` is None for one that this driver does not make."""

    info: LinkInfo
    mode: Mode | None
    protodown: bool


class NewMacvlan(NamedTuple):
    """A macvlan to be made: admin down, in the namespace of `netns_fd`; `parent` is an ifindex of the socket's own.

    `ifindex` is that of the new interface, free in its namespace (EEXIST otherwise); 0 lets the kernel choose.
    """

    ifindex: int
    name: str
    parent: int
    netns_fd: int
    mode: Mode
    mtu: int
    mac: str


def new_macvlan(wanted: NewMacvlan) -> Request:
    """Make a macvlan. In mode passthru the kernel gives it the parent's MAC, whatever is wanted."""
    body = (
        IFINFO.pack(0, 0, wanted.ifindex, 0, 0)
        + u32(IFLA_LINK, wanted.parent)
        + string(IFLA_IFNAME, wanted.name)
        + u32(IFLA_MTU, wanted.mtu)
        + attribute(IFLA_ADDRESS, mac_bytes(wanted.mac))
        + u32(IFLA_NET_NS_FD, wanted.netns_fd)
        + _kind(wanted.mode)
    )
    what = f"make a macvlan of mode {wanted.mode.value} on link {wanted.parent}"
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, what)


def change_mode(ifindex: int, mode: Mode) -> Request:
    """Change the mode of a macvlan in the socket's namespace; the kernel refuses it to and from passthru."""
    body = IFINFO.pack(0, 0, ifindex, 0, 0) + _kind(mode)
    return Request(RTM_NEWLINK, 0, body, f"change link {ifindex} to mode {mode.value}")


def parse_macvlan(payload: bytes) -> Macvlan | None:
    """Return the macvlan in an answer to a request for links; None for another kind of link."""
    info = parse_link(payload)
    if info.kind != KIND:
        return None
    found = attributes(payload, IFINFO.size)
    data = attributes(attributes(found[IFLA_LINKINFO]).get(IFLA_INFO_DATA, b""))
    mode = _MODES.get(to_u32(data.get(IFLA_MACVLAN_MODE, b"")))
    return Macvlan(info, mode, found.get(IFLA_PROTO_DOWN) == b"\1")


def _kind(mode: Mode) -> bytes:
    data = nested(IFLA_INFO_DATA, u32(IFLA_MACVLAN_MODE, _NUMBERS[mode]))
    return nested(IFLA_LINKINFO, string(IFLA_INFO_KIND, KIND), data)
