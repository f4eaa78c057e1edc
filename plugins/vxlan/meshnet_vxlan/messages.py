"""What vxlan asks of the kernel beyond what every link needs, and what it reads: devices, and where they send."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from meshnet.netlink import LinkInfo, Request
from meshnet.netlink.ifla import (
    IFINFO,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MTU,
    IFLA_NUM_RX_QUEUES,
    IFLA_NUM_TX_QUEUES,
    RTM_NEWLINK,
)
from meshnet.netlink.links import parse_link
from meshnet.netlink.neighbours import NDA_DST, NDMSG, NUD_PERMANENT, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH
from meshnet.netlink.wire import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    attribute,
    attributes,
    mac_bytes,
    nested,
    string,
    to_u32,
    u8,
    u32,
)

KIND = "vxlan"
DEVICE_MTU = 65535
"""The kernel's maximum: what fits on the underlay is the pods' MTU alone."""

IFLA_VXLAN_ID = 1
IFLA_VXLAN_LOCAL = 4
IFLA_VXLAN_LEARNING = 7
IFLA_VXLAN_PORT = 15
IFLA_VXLAN_LOCAL6 = 17

AF_BRIDGE = 7
NTF_SELF = 0x02
NUD_NOARP = 0x40
NDA_LLADDR = 2
NDA_PORT = 6
NDA_VNI = 7

_PORT = struct.Struct("!H")
_ANY_MAC = bytes(6)


class Vxlan(NamedTuple):
    """A VXLAN device as the kernel shows it.

    Attributes:
        vni: that it receives.
        port: its UDP port.
        local: the address that it sends from, ``""`` for none.
    """

    info: LinkInfo
    vni: int
    port: int
    local: str


class Remote(NamedTuple):
    """Where a device sends its frames: an address, the VNI that is received there, the UDP port there."""

    address: str
    vni: int
    port: int


class NewVxlan(NamedTuple):
    """A VXLAN device to be made: admin down, sending nowhere, learning nothing."""

    name: str
    mac: str
    vni: int
    port: int
    local: str


def new_vxlan(wanted: NewVxlan) -> Request:
    """Make a device. EEXIST when its name is taken, or another device at that UDP port receives its VNI."""
    data = (
        u32(IFLA_VXLAN_ID, wanted.vni)
        + _local(wanted.local)
        + u8(IFLA_VXLAN_LEARNING, 0)
        + attribute(IFLA_VXLAN_PORT, _PORT.pack(wanted.port))
    )
    body = (
        IFINFO.pack(0, 0, 0, 0, 0)
        + string(IFLA_IFNAME, wanted.name)
        + attribute(IFLA_ADDRESS, mac_bytes(wanted.mac))
        + u32(IFLA_MTU, DEVICE_MTU)
        + u32(IFLA_NUM_TX_QUEUES, 1)
        + u32(IFLA_NUM_RX_QUEUES, 1)
        + _info(data)
    )
    what = f"make VXLAN device {wanted.name} (VNI {wanted.vni}, UDP port {wanted.port})"
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, what)


def probe() -> Request:
    """Ask for a device without saying which: EINVAL where the kernel has VXLAN, EOPNOTSUPP where not. Makes nothing."""
    kind = nested(IFLA_LINKINFO, string(IFLA_INFO_KIND, KIND))
    body = IFINFO.pack(0, 0, 0, 0, 0) + kind
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "try whether the kernel has VXLAN")


def change_local(ifindex: int, local: str) -> Request:
    """Send from another address of the same family."""
    body = IFINFO.pack(0, 0, ifindex, 0, 0) + _info(_local(local))
    return Request(RTM_NEWLINK, 0, body, f"have link {ifindex} send from {local}")


def add_remote(ifindex: int, remote: Remote) -> Request:
    """Send every frame there, too. Not by NLM_F_REPLACE, which the kernel refuses for the entry of all frames."""
    body = _remote(ifindex, remote)
    return Request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_APPEND, body, f"have link {ifindex} send to {_told(remote)}")


def delete_remote(ifindex: int, remote: Remote) -> Request:
    """Send nothing there any more."""
    return Request(RTM_DELNEIGH, 0, _remote(ifindex, remote), f"stop link {ifindex} sending to {_told(remote)}")


def dump_remotes(ifindex: int) -> Request:
    """Ask where a device sends."""
    return Request(RTM_GETNEIGH, 0, NDMSG.pack(AF_BRIDGE, ifindex, 0, 0, 0), f"list where link {ifindex} sends")


def parse_vxlan(payload: bytes) -> Vxlan | None:
    """Return the VXLAN device in an answer to a request for links; None for another kind of link."""
    info = parse_link(payload)
    if info.kind != KIND:
        return None
    found = attributes(attributes(payload, IFINFO.size)[IFLA_LINKINFO])
    data = attributes(found.get(IFLA_INFO_DATA, b""))
    local = data.get(IFLA_VXLAN_LOCAL) or data.get(IFLA_VXLAN_LOCAL6)
    return Vxlan(
        info,
        vni=to_u32(data.get(IFLA_VXLAN_ID, b"")),
        port=int.from_bytes(data.get(IFLA_VXLAN_PORT, b""), "big"),
        local=_address(local) if local else "",
    )


def parse_remote(payload: bytes, device: Vxlan) -> Remote | None:
    """Return where `device` sends all frames, of an answer to `dump_remotes`; None for an entry of a single MAC."""
    found = attributes(payload, NDMSG.size)
    if found.get(NDA_LLADDR) != _ANY_MAC or NDA_DST not in found:
        return None
    # What is the device's own is not told.
    port = int.from_bytes(found[NDA_PORT], "big") if NDA_PORT in found else device.port
    vni = to_u32(found[NDA_VNI]) if NDA_VNI in found else device.vni
    return Remote(_address(found[NDA_DST]), vni, port)


def canonical(address: str) -> str:
    """Return an address as the kernel's answers are written here. Raises OSError when it is none."""
    return _address(_packed(address))


def _told(remote: Remote) -> str:
    return f"{remote.address} port {remote.port} VNI {remote.vni}"


def _remote(ifindex: int, remote: Remote) -> bytes:
    return (
        NDMSG.pack(AF_BRIDGE, ifindex, NUD_NOARP | NUD_PERMANENT, NTF_SELF, 0)
        + attribute(NDA_LLADDR, _ANY_MAC)
        + attribute(NDA_DST, _packed(remote.address))
        + u32(NDA_VNI, remote.vni)
        + attribute(NDA_PORT, _PORT.pack(remote.port))
    )


def _info(data: bytes) -> bytes:
    return nested(IFLA_LINKINFO, string(IFLA_INFO_KIND, KIND), nested(IFLA_INFO_DATA, data))


def _local(address: str) -> bytes:
    packed = _packed(address)
    return attribute(IFLA_VXLAN_LOCAL if len(packed) == 4 else IFLA_VXLAN_LOCAL6, packed)


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _address(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
