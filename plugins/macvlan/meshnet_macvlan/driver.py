"""The driver: makes a macvlan in the pod, keeps it as the link says, takes it away."""

from __future__ import annotations

import asyncio
import errno
import secrets
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
from meshnet.model.topology import Endpoint
from meshnet.netlink import Netlink, links
from meshnet.netlink.netns import number_own
from meshnet_macvlan.owned import birth_name, everywhere, find, in_namespace, of_one_interface
from meshnet_macvlan.parent import carries, check_mtu, find_parent, why_refused
from meshnet_macvlan.requests import Mode, NewMacvlan, change_mode, new_macvlan, parse_macvlan
from meshnet_macvlan.unsuitable import check_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.driver import DriverContext, Inside, LinkEnd, Peer
    from meshnet.model.names import Mark
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
    _node_nsid: int

    def __init__(self) -> None:
        self._patched: set[Endpoint] = set()

    async def start(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        self._node_nsid = number_own(ctx.netlink)

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Interface:  # noqa: ARG002 - an external link has none
        assert link.parent is not None
        parent = find_parent(self._ctx.netlink, link.parent, self._ctx.node)
        found = await find(link.pod.nsid, link.local, link.alias)
        await self._check(parent, link, found)
        if found is None:
            ifindex = await self._make(link, parent)
            self._patched.add(link.local)
            return Interface(ifindex)
        another_parent = not self._carries(parent, found)
        if another_parent or (found.mode is Mode.PASSTHRU) != (link.options.mode is Mode.PASSTHRU):
            raise Rebuild
        changes = _changes(found, link)
        if link.mac_before not in ("", link.mac) and found.mode is not Mode.PASSTHRU:
            # Only when the link was edited: that a bond or a router in the pod has changed it is the pod's affair.
            changes.append(links.set_link(found.info.ifindex, mac=link.mac))
        if changes:
            self._change(changes, link)
        self._patched.add(link.local)
        return Interface(found.info.ifindex)

    async def unpatch(self, link: LinkEnd) -> None:
        self._patched.discard(link.local)
        for found in await in_namespace(link.pod.nsid):
            # What a patch that was refused has marked with a new uid goes, too.
            if of_one_interface(found.info.alias, link.alias, link.local) or found.info.name == birth_name(link.alias):
                await _delete(found.info.ifindex, link.pod.nsid)

    async def inspect(self) -> Sequence[Owned]:
        told = []
        for _, found, mark in await everywhere():
            endpoint = self._endpoint(mark)
            if endpoint is not None:
                told.append(Owned(endpoint, Interface(found.info.ifindex), f"macvlan {found.info.name}"))
        return told

    async def discard(self, owned: Owned) -> None:
        for nsid, found, mark in await everywhere():
            if Interface(found.info.ifindex) == owned.splice and owned.endpoint and mark.is_of(owned.endpoint):
                await _delete(found.info.ifindex, nsid)

    async def set_carrier(self, link: LinkEnd, up: bool) -> None:
        found = await find(link.pod.nsid, link.local, link.alias)
        if found is None:
            raise LinkError("InterfaceMissing", f"{link.local}: its macvlan is not in the pod any more")
        if self._has_to_say(found, link, up=up):
            with link.pod.enter() as inside:
                inside.netlink.run([links.set_link(found.info.ifindex, protodown=not up)])

    def _has_to_say(self, found: Macvlan, link: LinkEnd, *, up: bool) -> bool:
        """Tell whether the kernel must be told of a macvlan's carrier.

        Where its parent loses carrier and gets it back, so does a macvlan, whatever was said. And what is said gives
        carrier also where the parent has none.
        """
        if not up:
            return not found.protodown or found.info.carrier
        if not found.protodown:
            return False
        assert link.parent is not None
        return find_parent(self._ctx.netlink, link.parent, self._ctx.node).carrier

    def _carries(self, parent: LinkInfo, found: Macvlan) -> bool:
        return carries(parent, found.info, self._node_nsid)

    def _endpoint(self, mark: Mark) -> Endpoint | None:
        """Return whose a macvlan is; None while that cannot be told.

        A pod's name too long for a mark is cut in it. To say of such a macvlan that it is nobody's would have it
        removed, so it is told of from its first patch on.
        """
        if "~" not in mark.pod:
            return Endpoint(mark.namespace, mark.pod, mark.interface)
        return next((endpoint for endpoint in self._patched if mark.is_of(endpoint)), None)

    async def _check(self, parent: LinkInfo, link: LinkEnd, found: Macvlan | None) -> None:
        """Raise LinkError where a link cannot be had on a parent; what it has there all the same goes."""
        try:
            check_parent(self._ctx.netlink, parent, link.options.mode, self._ctx.underlay)
        except LinkError:
            # Its carrier alone would not do: the pod can give it back, and a node's uplink stays lost.
            if found is not None and self._carries(parent, found):
                await _delete(found.info.ifindex, link.pod.nsid)
            raise
        check_mtu(parent, link.mtu)

    def _change(self, changes: Sequence[Request], link: LinkEnd) -> None:
        """Change a macvlan in its pod, or have it made anew where its new MAC is taken.

        Its old MAC may be another's by now, which waits for it as this one does: two swap theirs. And to a daemon that
        comes after this one it would look as if the pod had changed it.
        """
        try:
            with link.pod.enter() as inside:
                _run(inside, changes, link)
        except LinkError as error:
            if error.reason == "MacTaken":
                raise Rebuild from error
            raise

    async def _make(self, link: LinkEnd, parent: LinkInfo) -> int:
        """Make the interface under a name nobody has, mark it, then give it its own. Return its ifindex in the pod."""
        with link.pod.enter() as inside:
            wanted = NewMacvlan(
                ifindex=_far_index(),
                name=birth_name(link.alias),
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


def _far_index() -> int:
    """Return an ifindex for a pod's interface that no parent has.

    With that of its parent, which a small number would often be, the kernel takes the loss of carrier for not urgent:
    for up to a second the interface goes on sending.
    """
    return 1 << 20 | secrets.randbits(20)


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
    if found.info.name == birth_name(link.alias):
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
        if error.errno == errno.EADDRINUSE:
            taken = f"{link.parent}, or another interface on it, has the MAC {link.mac}"
            message = f"{link.local}: {taken}; each needs one of its own: another local_mac"
            raise LinkError("MacTaken", message) from error
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
