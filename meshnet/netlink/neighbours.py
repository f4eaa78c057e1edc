"""Neighbours: the MACs that a namespace has learned. The kernel has one table of them for all namespaces together.

In the same messages it tells where a bridge, or a device such as a VXLAN, sends frames.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from meshnet.netlink.wire import Request, attribute

if TYPE_CHECKING:
    from meshnet.netlink.socket import Netlink

RTM_NEWNEIGH = 28
RTM_DELNEIGH = 29
RTM_GETNEIGH = 30
NDA_DST = 1
NUD_PERMANENT = 0x80

NDMSG = struct.Struct("=BxxxiHBB")
"""struct ndmsg: family, interface index, state, flags, type."""


def forget_learned(netlink: Netlink, ifindex: int, address: str) -> None:
    """Have a link forget the neighbour with that IP address; one that somebody has set for good stays.

    Raises KernelError, ENOENT when the link knows none.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    body = NDMSG.pack(family, ifindex, 0, 0, 0) + attribute(NDA_DST, socket.inet_pton(family, address))
    known = netlink.ask(Request(RTM_GETNEIGH, 0, body, f"read the neighbour {address} of link {ifindex}"))
    _, _, state, *_ = NDMSG.unpack_from(known)
    if not state & NUD_PERMANENT:
        netlink.run([Request(RTM_DELNEIGH, 0, body, f"have link {ifindex} forget {address}")])
