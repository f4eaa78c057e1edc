"""The driver: makes a macvlan in the pod, keeps it as the link says, takes it away."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

import attrs

from meshnet.driver import (
    Attachment,
    Carries,
    Interface,
    LinkDriver,
    LinkError,
    Owned,
    Rebuild,
    Scope,
)
from meshnet.errors import KernelError
from meshnet.model.names import parse_mark
from meshnet.model.topology import Endpoint
from meshnet.netlink import Netlink, links
from meshnet_macvlan import owned
from meshnet_macvlan.parent import check_mtu, find_parent, why_refused
from meshnet_macvlan.requests import Mode, NewMacvlan, change_mode, new_macvlan, parse_macvlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.driver import DriverContext, Inside, LinkEnd, Peer
    from meshnet.netlink import LinkInfo, Request
    from meshnet_macvlan.requests import Macvlan


@attrs.frozen
class Options:
    """Options of a macvlan link."""

    mode: Mode = Mode.BRIDGE


class MacvlanDriver(LinkDriver):
    """Puts a pod on the network of its node's interface `peer_intf`."""

    api = 1
    name = "macvlan"
    aliases = ("MACVLAN",)
    scopes = Scope.EXTERNAL
    claims = Scope.EXTERNAL
    options = Options
    attachment = Attachment.DIRECT
    carries = Carries.OWN_MAC
    honest = False

    _ctx: DriverContext

    def __init__(self) -> None:
        self._macs: dict[Endpoint, str] = {}

    async def start(self, ctx: DriverContext) -> None:
        self._ctx = ctx

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Interface:  # noqa: ARG002 - an external link has none
        assert link.parent is not None
        parent = find_parent(self._ctx.netlink, link.parent, self._ctx.node)
        check_mtu(parent, link.mtu)
        found = owned.find(self._ctx.netlink, link.pod.nsid, link.local, link.alias)
        before = self._macs.get(link.local)
        if found is None:
            ifindex = await self._make(link, parent)
            self._macs[link.local] = link.mac
            return Interface(ifindex)
        if found.info.link != parent.ifindex or (found.mode is Mode.PASSTHRU) != (link.options.mode is Mode.PASSTHRU):
            raise Rebuild
        changes = _changes(found, link)
        if before not in (None, link.mac) and found.mode is not Mode.PASSTHRU:
            # Only when the link was edited: that a bond or a router in the pod has changed it is the pod's affair.
            changes.append(links.set_link(found.info.ifindex, mac=link.mac))
        if changes:
            with link.pod.enter() as inside:
                _run(inside, changes, link)
        self._macs[link.local] = link.mac
        return Interface(found.info.ifindex)

    async def unpatch(self, link: LinkEnd) -> None:
        self._macs.pop(link.local, None)
        for found in owned.in_namespace(self._ctx.netlink, link.pod.nsid):
            if found.info.alias == link.alias or found.info.name == owned.birth_name(link.alias):
                await _delete(found.info.ifindex, link.pod.nsid)

    async def inspect(self) -> Sequence[Owned]:
        return [_owned(found.info) for found in owned.everywhere(self._ctx.netlink)]

    async def set_carrier(self, link: LinkEnd, up: bool) -> None:
        found = owned.find(self._ctx.netlink, link.pod.nsid, link.local, link.alias)
        if found is None:
            raise LinkError("InterfaceMissing", f"{link.local}: its macvlan is not in the pod any more")
        if found.protodown == up:
            with link.pod.enter() as inside:
                inside.netlink.run([links.set_link(found.info.ifindex, protodown=not up)])

    async def _make(self, link: LinkEnd, parent: LinkInfo) -> int:
        """Make the interface under a name nobody has, mark it, then give it its own. Return its ifindex in the pod."""
        with link.pod.enter() as inside:
            wanted = NewMacvlan(
                name=owned.birth_name(link.alias),
                parent=parent.ifindex,
                netns_fd=inside.netns_fd,
                mode=link.options.mode,
                mtu=link.mtu,
                mac=link.mac,
            )
            try:
                self._ctx.netlink.run([new_macvlan(wanted)])
            except KernelError as error:
                raise why_refused(self._ctx.netlink, parent, wanted.mode, error) from error
            made = parse_macvlan(inside.netlink.ask(links.get_link(wanted.name)))
            assert made is not None
            try:
                _run(inside, _changes(made, link), link)
            except LinkError:
                await _delete(made.info.ifindex, link.pod.nsid)
                raise
        return made.info.ifindex


def _changes(found: Macvlan, link: LinkEnd) -> list[Request]:
    """Return what makes a macvlan what the link says; of the pod's own affairs only while it is half made."""
    ifindex = found.info.ifindex
    changes: list[Request] = []
    if found.info.mtu != link.mtu:
        changes.append(links.set_link(ifindex, mtu=link.mtu))
    if found.mode is not link.options.mode:
        changes.append(change_mode(ifindex, link.options.mode))
    if found.info.alias != link.alias:
        changes.append(links.set_link(ifindex, alias=link.alias))
    if found.info.name == owned.birth_name(link.alias):
        if link.down:  # later set_carrier alone says so
            changes.append(links.set_link(ifindex, protodown=True))
        # Last of all: with its own name it is finished.
        changes.append(links.set_link(ifindex, name=link.local.interface, up=True))
    return changes


def _run(inside: Inside, changes: Sequence[Request], link: LinkEnd) -> None:
    try:
        inside.netlink.run(changes)
    except KernelError as error:
        if error.errno == errno.EEXIST:
            name = link.local.interface
            message = f"{link.local}: pod {link.local.pod} has another interface named {name}; it is left alone"
            raise LinkError("NameTaken", message) from error
        raise LinkError("KernelRefused", f"{link.local}: {error}") from error


async def _delete(ifindex: int, nsid: int) -> None:
    """Delete an interface in a pod; gone already is success. In a thread: the kernel takes 20 ms."""
    await asyncio.to_thread(_delete_now, ifindex, nsid)


def _delete_now(ifindex: int, nsid: int) -> None:
    with Netlink.open() as netlink:
        try:
            netlink.run([links.delete_link(ifindex, nsid)])
        except KernelError as error:
            # No such device, or no such namespace any more.
            if error.errno not in (errno.ENODEV, errno.EINVAL):
                raise


def _owned(info: LinkInfo) -> Owned:
    mark = parse_mark(info.alias)
    assert mark is not None
    endpoint = Endpoint(mark.namespace, mark.pod, mark.interface)
    # A mark too long for an alias is cut: whose it is cannot be told from it alone.
    return Owned(None if "~" in mark.pod else endpoint, Interface(info.ifindex), f"macvlan {info.name}")
