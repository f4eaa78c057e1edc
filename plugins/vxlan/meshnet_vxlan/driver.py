"""The driver: a VXLAN device for each end of a link between nodes, kept as the link says, taken away."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any, NamedTuple

from meshnet.driver import Device, LinkDriver, LinkError, Owned, Scope
from meshnet.errors import KernelError
from meshnet.model.names import of_one_sandbox, parse_mark
from meshnet.model.topology import Endpoint
from meshnet.netlink import links
from meshnet_vxlan import refusals
from meshnet_vxlan.messages import canonical, probe
from meshnet_vxlan.owned import (
    belongs,
    is_newborn,
    is_ours,
    read_all,
    read_device,
    read_devices,
    read_remotes,
    read_slots,
)
from meshnet_vxlan.peers import node_offer, port_setting, remote_of
from meshnet_vxlan.removal import Remover
from meshnet_vxlan.sources import Admission, SourceFilter
from meshnet_vxlan.tunnel import Tunnel, adjust, make

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.driver import DriverContext, LinkEnd, Peer, Underlay
    from meshnet_vxlan.messages import Vxlan
    from meshnet_vxlan.owned import Slots

GRACE_S = 1.0
"""How long what a link was before goes on: a device that another has replaced, the address that its peer had."""
_IN_WANT = (errno.ENOMEM, errno.ENOBUFS)
"""Say nothing of what this node's kernel can do: each link is tried by itself, and again."""
_OVERHEAD = {4: 50, 6: 70}
"""Bytes that are put around what a pod's packet is: Ethernet 14, VXLAN 8, UDP 8, and IP."""


class Patched(NamedTuple):
    """How an end was patched last: to which device, by ifindex, with which mark, and for which peer."""

    device: int
    alias: str
    peer: Endpoint | None


class VxlanDriver(LinkDriver):
    """Carries any frame between two pods of two nodes in the kernel, by VXLAN."""

    api = 1
    name = "vxlan"
    aliases = ("VXLAN",)
    scopes = Scope.BETWEEN_NODES
    claims = Scope.BETWEEN_NODES
    rank = 10
    caution = "as trusted as the network between the nodes"

    _ctx: DriverContext
    _sources: SourceFilter

    def __init__(self) -> None:
        self._port = 0
        self._local = ""
        self._remover = Remover()
        self._patched: dict[Endpoint, Patched] = {}
        self._tidying: set[asyncio.Task[None]] = set()

    async def start(self, ctx: DriverContext) -> None:
        self._ctx = ctx
        self._port = port_setting(ctx.settings)
        if not ctx.underlay.address:
            raise LinkError("NoUnderlay", refusals.NO_UNDERLAY)
        try:
            ctx.netlink.run([probe()])
        except KernelError as error:
            if error.errno not in (errno.EINVAL, *_IN_WANT):
                raise refusals.no_vxlan(error) from error
        self._local = canonical(ctx.underlay.address)
        self._sources = SourceFilter(self._port, ctx.log)
        self._sources.adopt(self._admitted())

    async def stop(self) -> None:
        for task in self._tidying:
            task.cancel()
        self._sources.close()

    async def node_offer(self) -> Mapping[str, Any]:
        return node_offer(self._ctx.underlay, self._port)

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Device:
        assert link.port is not None
        remote = remote_of(link, peer, self._ctx.underlay)
        tunnel = Tunnel(link.alias, link.receive_id, self._port, self._local, remote, link.port.ifindex)
        slots = self._slots(link)
        fitting = next((device for device in slots.devices if tunnel.fits(device)), None)
        replaced = [device for device in slots.devices if device is not fitting]
        device = fitting or await self._make(link, tunnel, slots)
        try:
            others = self._admit(link, tunnel.vni, device.info.ifindex, remote.address)
            adjust(self._ctx.netlink, device, tunnel, fresh=fitting is None)
        except KernelError as error:
            if fitting is None:
                await self._remove([device])
            raise await refusals.why_refused(error, link, self._ctx.node, self._port) from error
        self._patched[link.local] = Patched(device.info.ifindex, link.alias, link.peer)
        if replaced or others:
            self._tidy(link.local, replaced, tunnel.vni)
        return Device(device.info.ifindex)

    async def unpatch(self, link: LinkEnd) -> None:
        slots = self._slots(link)
        gone = [d for d in slots.devices if is_newborn(d) or of_one_sandbox(d.info.alias, link.alias)]
        await self._remove(gone)
        if self._device_of(link.local) in [device.info.ifindex for device in gone]:
            del self._patched[link.local]

    async def inspect(self) -> Sequence[Owned]:
        told = []
        devices = read_all(self._ctx.netlink)
        # One whose mark somebody has replaced receives as before.
        self._sources.keep_only({device.info.ifindex for device in devices})
        for device in filter(is_ours, devices):
            endpoint = self._endpoint(device)
            if endpoint is not None or is_newborn(device):
                told.append(Owned(endpoint, Device(device.info.ifindex), f"VXLAN device {device.info.name}"))
        return told

    async def discard(self, owned: Owned) -> None:
        assert isinstance(owned.splice, Device)
        device = read_device(self._ctx.netlink, owned.splice.ifindex)
        if device is None:
            return
        if is_newborn(device) if owned.endpoint is None else belongs(device, owned.endpoint):
            await self._remove([device])

    def mtu_limit(self, underlay: Underlay) -> int:
        return underlay.mtu - _OVERHEAD[underlay.family]

    def _device_of(self, endpoint: Endpoint) -> int | None:
        known = self._patched.get(endpoint)
        return None if known is None else known.device

    def _slots(self, link: LinkEnd) -> Slots:
        """Return what stands at a link's names. Its device gets its mark back, where somebody has replaced it."""
        known = self._patched.get(link.local)
        if known is not None:
            slots = read_slots(self._ctx.netlink, link.local, known.device)
            if all(map(is_ours, slots.devices)):
                return slots
            self._ctx.netlink.run([links.set_link(known.device, alias=known.alias)])
        return read_slots(self._ctx.netlink, link.local, None)

    def _admitted(self) -> dict[int, Admission]:
        """Return who is let in, as the devices of an earlier daemon say."""
        admitted = {}
        for device in read_devices(self._ctx.netlink):
            for remote in read_remotes(self._ctx.netlink, device):
                admitted[device.vni] = Admission(device.info.ifindex, remote.address)
        return admitted

    def _admit(self, link: LinkEnd, vni: int, device: int, source: str) -> bool:
        """Let the peer's node in; tell whether the one where that peer was before still is, for a moment.

        Another peer is another cable, by which nothing of the one before comes any more, nor of one not known: an
        earlier daemon's.
        """
        others = self._sources.admit(vni, device, source)
        known = self._patched.get(link.local)
        if link.peer == (None if known is None else known.peer):
            return others
        self._sources.settle(vni)
        return False

    async def _make(self, link: LinkEnd, tunnel: Tunnel, slots: Slots) -> Vxlan:
        """Make a device, not up yet. One that it replaces stays for now, unless both names are used."""
        free = slots.free
        if not free and slots.devices:
            given_up = slots.devices[-1]
            await self._remove([given_up])
            free = [given_up.info.name]
        if not free:
            raise refusals.name_taken(link, self._ctx.node)
        try:
            return make(self._ctx.netlink, free[0], tunnel)
        except KernelError as error:
            raise refusals.not_made(error, link, self._ctx, self._port) from error

    def _tidy(self, endpoint: Endpoint, replaced: Sequence[Vxlan], vni: int) -> None:
        """Do away with what a link was before, when core and the peer have turned to what it is now."""
        task = asyncio.get_running_loop().create_task(self._tidied(endpoint, replaced, vni), name=f"tidy {endpoint}")
        self._tidying.add(task)
        task.add_done_callback(self._tidying.discard)

    async def _tidied(self, endpoint: Endpoint, replaced: Sequence[Vxlan], vni: int) -> None:
        await asyncio.sleep(GRACE_S)
        self._sources.settle(vni)
        try:
            await self._remove([device for device in replaced if device.info.ifindex != self._device_of(endpoint)])
        except KernelError as error:
            # The next patch finds them again.
            self._ctx.log.warning("%s: a VXLAN device that was replaced stays: %s", endpoint, error)

    async def _remove(self, devices: Sequence[Vxlan]) -> None:
        if devices:
            await self._remover.remove(device.info.ifindex for device in devices)
        for device in devices:
            self._sources.forget(device.vni, device.info.ifindex)

    def _endpoint(self, device: Vxlan) -> Endpoint | None:
        """Return whose a device is; None while that cannot be told, since a pod's name too long for a mark is cut."""
        mark = parse_mark(device.info.alias)
        if mark is None:
            return None
        if "~" not in mark.pod:
            return Endpoint(mark.namespace, mark.pod, mark.interface)
        return next((endpoint for endpoint in self._patched if mark.is_of(endpoint)), None)
