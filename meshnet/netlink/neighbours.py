"""Neighbours: the MACs that a namespace has learned. The kernel has one table of them for all namespaces together."""

from __future__ import annotations

import socket
import struct

from meshnet.netlink.wire import Request, attribute

RTM_DELNEIGH = 29
NDA_DST = 1

_NDMSG = struct.Struct("=BxxxiHBB")


def forget_neighbour(ifindex: int, address: str) -> Request:
    """Ask that a link forget the neighbour with that IP address; answered ENOENT when it knows none."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    body = _NDMSG.pack(family, ifindex, 0, 0, 0) + attribute(NDA_DST, socket.inet_pton(family, address))
    return Request(RTM_DELNEIGH, 0, body, f"have link {ifindex} forget {address}")
