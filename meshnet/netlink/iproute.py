"""pyroute2 for what is rare: the only module that imports it (127 ms, 20 MiB; import it where it is used).

pyroute2 by itself forks to open a socket in another namespace, opens sockets when first used, in whatever thread that
is, and raises its own errors. Here the socket is opened at once, by the calling thread, and errors are KernelError.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pyroute2 import AsyncIPRoute
from pyroute2.netlink import rtnl

from meshnet.errors import KernelError
from meshnet.netlink.opening import NETLINK_EXT_ACK, SOL_NETLINK, route_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from pyroute2.netlink.exceptions import NetlinkError


@contextlib.asynccontextmanager
async def iproute(netns_fd: int | None = None) -> AsyncIterator[AsyncIPRoute]:
    """Give pyroute2's `AsyncIPRoute` in the namespace of `netns_fd`, or in the calling thread's.

    For one task and one dump at a time (the kernel answers EBUSY to a second). Not on uvloop. A veth's peer with an
    index needs IFLA_LINKINFO given whole: `links.new_veth` is for that.

    Raises KernelError, from its methods too.
    """
    with contextlib.closing(route_socket(netns_fd)) as sock:
        sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        sock.setblocking(False)
        async with AsyncIPRoute(use_socket=sock, exception_factory=_kernel_error) as ip:
            yield ip


def _kernel_error(error: NetlinkError, answer: Mapping[str, Any]) -> KernelError:
    """Translate at the border; an answer repeats the header of the request that it refuses."""
    request = answer["header"].get("errmsg") or {}
    number = request["header"]["type"] if "header" in request else 0
    detail = next((value for name, value in answer["attrs"] if name == "NLMSGERR_ATTR_MSG"), "")
    return KernelError(error.code, f"netlink request {rtnl.RTM_VALUES.get(number, number)}", detail)
