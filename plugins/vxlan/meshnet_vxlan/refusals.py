"""What is told of a link that the kernel refuses a device: what is in the way, and what to do about it."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

from meshnet.driver import LinkError
from meshnet_vxlan.owned import device_names, read_all
from meshnet_vxlan.peers import PORT_SETTING
from meshnet_vxlan.portholder import port_holder

if TYPE_CHECKING:
    from meshnet.driver import DriverContext, LinkEnd
    from meshnet.errors import KernelError

NO_UNDERLAY = (
    "this node has no address that others reach it at; "
    "set HOST_IP to one of its addresses, or MESHNET_UNDERLAY_INTERFACE to the interface that has it"
)


def no_vxlan(error: KernelError) -> LinkError:
    """Return why the driver cannot work on this node."""
    if error.errno == errno.EOPNOTSUPP:
        return LinkError("NoVxlan", "this node's kernel has no VXLAN; load the kernel module: modprobe vxlan")
    return LinkError("KernelRefused", f"{error}: making VXLAN devices needs CAP_NET_ADMIN")


def name_taken(link: LinkEnd, node: str) -> LinkError:
    """Return that both names of an endpoint's device are used by others."""
    names = " and ".join(device_names(link.local))
    return LinkError("NameTaken", f"{link.local}: node {node} has other interfaces named {names}; they are left alone")


def not_made(error: KernelError, link: LinkEnd, ctx: DriverContext, port: int) -> LinkError:
    """Return why a device cannot be made."""
    if error.errno != errno.EEXIST:
        return LinkError("KernelRefused", f"{link.local}: {error}")
    receivers = (found for found in read_all(ctx.netlink) if (found.vni, found.port) == (link.receive_id, port))
    other = next(receivers, None)
    holder = f"device {other.info.name}" if other else "a device that was moved to another network namespace"
    message = (
        f"{link.local}: on node {ctx.node} {holder} receives VNI {link.receive_id} at UDP port {port} already; "
        f"it is left alone: delete it, or give meshnet a port of its own by {PORT_SETTING}"
    )
    return LinkError("VniTaken", message)


async def why_refused(error: KernelError, link: LinkEnd, node: str, port: int) -> LinkError:
    """Return why a device cannot be what it shall be."""
    if error.errno != errno.EADDRINUSE:
        return LinkError("KernelRefused", f"{link.local}: {error}")
    holder = await asyncio.to_thread(port_holder, port)
    message = (
        f"{link.local}: UDP port {port} of node {node} is used by {holder}; "
        f"end that, or give meshnet another port by {PORT_SETTING}"
    )
    return LinkError("PortTaken", message)
