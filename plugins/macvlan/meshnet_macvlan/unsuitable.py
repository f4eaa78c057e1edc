"""Parents that the kernel would take, and a pod must not have."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from meshnet.errors import KernelError, LinkError
from meshnet.model.names import parse_mark
from meshnet.netlink import links
from meshnet.netlink.routes import default_device
from meshnet_macvlan.requests import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.driver import Underlay
    from meshnet.netlink import LinkInfo, Netlink


_HAVE_PORTS = frozenset({"bridge", "bond", "team", "vrf", "hsr"})
"""Kinds of links with ports. To look for those of any other costs the kernel a walk over all links, for nothing."""


def check_parent(netlink: Netlink, parent: LinkInfo, mode: Mode, underlay: Underlay) -> None:
    """Raise LinkError ``ParentUnsuitable`` where a macvlan on `parent` would harm others; KernelError."""
    # By the port of another pod it would reach into that pod's links, whatever the namespace.
    for device in _below(netlink, parent):
        if parse_mark(device.alias) is not None:
            what = "is" if device.ifindex == parent.ifindex else f"is on {device.name}, which is"
            message = f"{parent.name} {what} a part of another link; peer_intf must be an interface of the node's own"
            raise LinkError("ParentUnsuitable", message)
    if mode is Mode.PASSTHRU and parent.ifindex in _uplinks(netlink, underlay):
        message = (
            f"{parent.name} connects the node itself, which would lose it to the pod; mode passthru needs an interface "
            "that the node does without, any other mode shares this one"
        )
        raise LinkError("ParentUnsuitable", message)


def _below(netlink: Netlink, device: LinkInfo) -> Iterator[LinkInfo]:
    """Yield a device and all that carries its frames: what it was made on, its ports, and what those are on."""
    seen: set[int] = set()
    waiting = [device]
    while waiting:
        info = waiting.pop()
        if info.ifindex in seen:
            continue
        seen.add(info.ifindex)
        yield info
        if info.link and info.link_nsid is None:
            waiting += _read(netlink, info.link)
        if info.kind in _HAVE_PORTS:
            waiting += map(links.parse_link, netlink.dump(links.dump_links(master=info.ifindex), steady=False))


def _read(netlink: Netlink, ifindex: int) -> list[LinkInfo]:
    """Return a link; none when it went meanwhile."""
    try:
        return [links.parse_link(netlink.ask(links.get_link(ifindex)))]
    except KernelError as error:
        if error.errno != errno.ENODEV:
            raise
        return []


def _uplinks(netlink: Netlink, underlay: Underlay) -> set[int]:
    """Return the indexes of what connects the node: to its peers, and to all else.

    Of two default routes that of the underlay's version counts: a router on a network that is there for pods alone may
    announce one of IPv6.
    """
    versions = (underlay.family, 10 - underlay.family)
    default = next(filter(None, (default_device(netlink, version) for version in versions)), 0)
    return {underlay.device, default}
