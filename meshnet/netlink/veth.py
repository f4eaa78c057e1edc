"""Making veths: the hot path of a pod's start, so a whole request is packed in one piece."""

from __future__ import annotations

import struct
from typing import NamedTuple

from meshnet.netlink.ifla import (
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MTU,
    IFLA_NET_NS_FD,
    IFLA_NUM_RX_QUEUES,
    IFLA_NUM_TX_QUEUES,
    RTM_NEWLINK,
    VETH_INFO_PEER,
)
from meshnet.netlink.wire import (
    NLA_F_NESTED,
    NLM_F_CREATE,
    NLM_F_ECHO,
    NLM_F_EXCL,
    Request,
    mac_bytes,
)

# A whole veth in one piece: every attribute of known size, names padded with NULs to the longest.
_ONE_QUEUE = "HHI HHI"
_END = "BxHiII HH16s HHI HH6s2x" + _ONE_QUEUE
_VETH = struct.Struct("=" + _END + "HH HH5s3x HH HH" + _END + "HHI")
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


class VethSpec(NamedTuple):
    """A veth to be made: the port in the socket's namespace, its peer in another. Both admin down, one queue each way.

    Attributes:
        port_name, port_ifindex, port_mac: of the port; the ifindex is free (EBUSY otherwise).
        mtu: of both ends, bytes.
        peer_name, peer_mac: of the other end.
        peer_netns_fd: the namespace it is made in.
        peer_ifindex: wanted there; 0 lets the kernel choose.
    """

    port_name: str
    port_ifindex: int
    port_mac: str
    mtu: int
    peer_name: str
    peer_mac: str
    peer_netns_fd: int
    peer_ifindex: int = 0


def new_veth(spec: VethSpec) -> Request:
    """Make a veth. The echo is the port's link: its ifindex, the peer's (`link`) and the peer's `link_nsid`.

    Linux before 6.2 does it without an echo: ask for the link by `get_link(spec.port_ifindex)` then.
    """
    mtu = spec.mtu
    body = _VETH.pack(
        *(0, 0, spec.port_ifindex, 0, 0),
        *(20, IFLA_IFNAME, spec.port_name.encode(), 8, IFLA_MTU, mtu, 10, IFLA_ADDRESS, mac_bytes(spec.port_mac)),
        *_QUEUES,
        *_NESTS,
        *(0, 0, spec.peer_ifindex, 0, 0),
        *(20, IFLA_IFNAME, spec.peer_name.encode(), 8, IFLA_MTU, mtu, 10, IFLA_ADDRESS, mac_bytes(spec.peer_mac)),
        *_QUEUES,
        *(8, IFLA_NET_NS_FD, spec.peer_netns_fd),
    )
    what = f"make veth {spec.port_name} (index {spec.port_ifindex}) to {spec.peer_name}"
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, body, what)
