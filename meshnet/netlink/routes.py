"""Which way a packet would go."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.netlink.wire import Request, attribute, attributes, to_u32

if TYPE_CHECKING:
    from meshnet.netlink.socket import Netlink

RTM_GETROUTE = 26
RTA_DST = 1
RTA_OIF = 4

_RTMSG = struct.Struct("=8BI")
_FAR = {4: (socket.AF_INET, "198.51.100.1"), 6: (socket.AF_INET6, "2001:db8::1")}
"""An address of each version that only a default route leads to: they are set aside for documents."""
_NO_ROUTE = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL, errno.EAFNOSUPPORT))
"""There is none, one says so (unreachable, prohibit, blackhole), or the node has not got that version of IP."""


def default_device(netlink: Netlink, version: int) -> int:
    """Return the ifindex of the link by which the default route of an IP version goes; 0 where there is none.

    The kernel is asked for one route, as a list of them can be long. Raises KernelError.
    """
    family, address = _FAR[version]
    packed = socket.inet_pton(family, address)
    body = _RTMSG.pack(family, 8 * len(packed), 0, 0, 0, 0, 0, 0, 0) + attribute(RTA_DST, packed)
    try:
        answer = netlink.ask(Request(RTM_GETROUTE, 0, body, f"find the default route of IPv{version}"))
    except KernelError as error:
        if error.errno in _NO_ROUTE:
            return 0
        raise
    return to_u32(attributes(answer, _RTMSG.size).get(RTA_OIF, b""))
