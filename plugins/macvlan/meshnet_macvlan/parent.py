"""The interface of the node that a macvlan hangs on."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from meshnet.errors import KernelError, LinkError
from meshnet.model.names import parse_mark
from meshnet.netlink import links
from meshnet_macvlan.requests import KIND, Mode

if TYPE_CHECKING:
    from meshnet.netlink import LinkInfo, Netlink

IFF_LOOPBACK = 0x8


def find_parent(netlink: Netlink, name: str, node: str) -> LinkInfo:
    """Return the interface of the node. Raises LinkError ``ParentMissing``, listing what is there."""
    try:
        parent = links.parse_link(netlink.ask(links.get_link(name)))
    except KernelError as error:
        if error.errno != errno.ENODEV:
            raise
        there = ", ".join(_candidates(netlink)) or "none"
        message = f"node {node} has no interface {name!r} (peer_intf) to put a macvlan on; it has {there}"
        raise LinkError("ParentMissing", message) from None
    if parent.kind == KIND and parent.link_nsid is None:
        # The one below is what counts; see `carries`.
        return links.parse_link(netlink.ask(links.get_link(parent.link)))
    return parent


def carries(parent: LinkInfo, macvlan: LinkInfo, node_nsid: int) -> bool:
    """Tell whether a macvlan hangs on a link of the node.

    The kernel hangs one of a macvlan on the latter's own parent. Where the node is on its network by a macvlan itself,
    as a node in a container, that is in another namespace: an index alone does not tell it.

    Args:
        parent: the link.
        macvlan: as it is read from the node, whatever namespace it is in.
        node_nsid: the number of the node's namespace in itself.
    """
    if parent.kind != KIND:
        below = parent.ifindex, node_nsid
    else:
        below = parent.link, node_nsid if parent.link_nsid is None else parent.link_nsid
    return below == (macvlan.link, macvlan.link_nsid)


def check_mtu(parent: LinkInfo, mtu: int) -> None:
    """Raise LinkError ``MtuTooLarge`` when a macvlan on `parent` cannot have that MTU (bytes)."""
    if mtu > parent.mtu:
        message = f"mtu {mtu} is above that of {parent.name}; the maximum is {parent.mtu}"
        raise LinkError("MtuTooLarge", message)


def why_refused(netlink: Netlink, parent: LinkInfo, mode: Mode, error: KernelError) -> LinkError:
    """Return what the kernel means by refusing a macvlan on `parent`."""
    if parent.flags & IFF_LOOPBACK:
        return LinkError("ParentUnsuitable", f"{parent.name} is the loopback interface; a macvlan needs an Ethernet")
    if error.errno == errno.EBUSY:
        return LinkError("ParentBusy", f"{parent.name} {_user(netlink, parent)} already, and that takes it whole")
    if error.errno == errno.EINVAL and mode is Mode.PASSTHRU:
        return LinkError("ParentBusy", f"{parent.name} carries macvlans already; mode passthru needs it alone")
    if error.errno == errno.EINVAL:
        return LinkError(
            "ParentBusy",
            f"the kernel refuses a macvlan on {parent.name} ({error}): it is given away whole by a macvlan of mode "
            "passthru, or it is no Ethernet",
        )
    return LinkError("KernelRefused", str(error))


def _user(netlink: Netlink, parent: LinkInfo) -> str:
    if not parent.master:
        return "is used by another kind of device"
    master = links.parse_link(netlink.ask(links.get_link(parent.master)))
    return f"is a port of {master.kind or 'device'} {master.name}"


def _candidates(netlink: Netlink) -> list[str]:
    """Interfaces of the node that a user may mean: not the loopback, no ports of ours."""
    there = map(links.parse_link, netlink.dump(links.dump_links(), steady=False))
    return sorted(info.name for info in there if not info.flags & IFF_LOOPBACK and parse_mark(info.alias) is None)
