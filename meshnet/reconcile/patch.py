"""Patching: what lies beyond a port is made, changed, moved and taken out by drivers; the pod notices nothing.

A port is spliced to the new patch before the old one goes, whoever made them. A direct interface breaks before it is
made anew.
"""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

import attrs

from meshnet.driver.api import Interface, LinkDriver, Rebuild, SetsCarrier
from meshnet.driver.calls import call
from meshnet.errors import LinkError, RestartPod
from meshnet.panel.splice import unless_gone
from meshnet.reconcile.end import Joint

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.dispatch.resolve import Plan
    from meshnet.driver.api import LinkEnd, Peer, Splice
    from meshnet.driver.catalog import NodeCatalog
    from meshnet.model.topology import Endpoint
    from meshnet.panel.splice import Splicer
    from meshnet.reconcile.carrier import CarrierKeeper
    from meshnet.reconcile.end import End
    from meshnet.reconcile.facts import Facts
    from meshnet.reconcile.furnish import Furnisher
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.segment import Segmenter
    from meshnet.reconcile.table import Table

CALL_LIMIT_S = 10.0

log = logging.getLogger(__name__)


class Patcher:
    """Makes one end's patch as its plan says. The caller never works on one end twice at once.

    `saved` is called when a sandbox's checkpoint is out of date.
    """

    def __init__(
        self,
        *,
        catalog: NodeCatalog,
        table: Table,
        splicer: Splicer,
        carrier: CarrierKeeper,
        furnisher: Furnisher,
        segmenter: Segmenter,
        facts: Facts,
        saved: Callable[[Sandbox], None],
        kick: Callable[[Endpoint], None],
    ) -> None:
        self._catalog = catalog
        self._table = table
        self._splicer = splicer
        self._carrier = carrier
        self._furnisher = furnisher
        self._segmenter = segmenter
        self._facts = facts
        self._saved = saved
        self._kick = kick

    async def make(self, end: End) -> None:
        """Make an end as its plan says. Raises LinkError, KernelError."""
        plan = end.plan
        if plan is None and end.interface:
            await self._unplug_direct(end)
            return
        if not _stays(end, plan) and not _replaced(end, plan):
            await self.unpatch(end)
        if plan is None or self._table.end(end.endpoint) is not end:
            return  # it is to be nothing, or went meanwhile: a port that it gets now would be nobody's
        await self._furnisher.apply(end, plan)
        # A driver's own interface is there while its peer is not. Options that are wrong reach no driver.
        if not plan.reason or (plan.direct and plan.options is not None):
            await self._patch(end, plan)
        else:
            await self._take_carrier(end, plan.driver)

    async def _patch(self, end: End, plan: Plan) -> None:
        driver = plan.driver
        assert driver is not None
        if self._table.end(end.endpoint) is not end:
            return  # it went meanwhile, and what it had was given back
        before = (end.patched, end.patched_by)
        joint = self._joint(end, plan)  # as the driver is told now: by its answer the peer may be another sandbox
        if before[1] != driver.name or end.joint != joint:
            end.path_reason = ""  # of the path to another peer, or by another driver
        try:
            splice = await self._ask(end, plan, driver)
        except LinkError:
            if _replaced(end, plan):
                await self.unpatch(end)  # it leads to where the peer is not any more
            await self._take_carrier(end, driver)
            raise
        stayed = self._table.end(end.endpoint) is end
        if stayed:
            await self._connect(end, plan, splice, joint)
        if before[1] not in ("", driver.name):
            await self.release(*before)
        if not stayed:
            await self.unpatch(end)

    async def _ask(self, end: End, plan: Plan, driver: LinkDriver) -> Splice:
        """Let a driver make the patch. What another one made before stays until this one's is in its place."""
        wanted, peer = self._facts.link_end(end, plan), self._facts.peer(end, plan)
        if plan.direct and end.patched is not None and end.patched_by == driver.name:
            wanted = attrs.evolve(wanted, mac_before=end.patched.mac)
        end.receive_id, end.told = wanted.receive_id, peer
        if type(driver).offer is not LinkDriver.offer:
            offer = await call(driver, "offer", end.endpoint, limit_s=CALL_LIMIT_S)
            end.offer = json.loads(json.dumps(dict(offer)))  # as it is now: the driver may keep it, and change it
        try:
            splice: Splice = await call(driver, "patch", wanted, peer, limit_s=CALL_LIMIT_S)
        except Rebuild:
            await self.unpatch(end)
            splice = await self._patch_anew(driver, wanted, peer)
        end.patched, end.patched_by = wanted, driver.name
        return splice

    async def _patch_anew(self, driver: LinkDriver, wanted: LinkEnd, peer: Peer | None) -> Splice:
        try:
            splice: Splice = await call(driver, "patch", wanted, peer, limit_s=CALL_LIMIT_S)
        except Rebuild:
            told = f"driver {driver.name}: it asks to patch {wanted.local} anew, which was just done"
            raise LinkError("DriverFailed", told) from None
        return splice

    def knows(self, end: End) -> bool:
        """Tell whether the driver that patched an end was told all that is known here of the peer by now."""
        try:
            return end.patched is not None and end.plan is not None and end.told == self._facts.peer(end, end.plan)
        except LinkError:
            return False  # it was told of an interface that the peer has no more

    async def release(self, patched: LinkEnd | None, driver_name: str) -> None:
        """Let a driver remove what it made of an end; its failure keeps nobody from going on without it."""
        driver = self._catalog.find(driver_name)
        if driver is None or patched is None:
            return
        try:
            await call(driver, "unpatch", patched, limit_s=CALL_LIMIT_S)
        except LinkError as error:
            log.warning("%s: what driver %s made stays for now: %s", patched.local, driver_name, error)

    async def _connect(self, end: End, plan: Plan, splice: Splice, joint: Joint) -> None:
        self._part(end, joint)
        if isinstance(splice, Interface):
            if end.interface != splice.ifindex:
                # Another one than before, of the same driver or not: nothing of the spec is applied to it yet.
                end.applied = attrs.evolve(end.applied, driver="")
            self._table.detach(end)
            end.interface = splice.ifindex
            self._table.enter(end)
            self._furnisher.observe(end, plan, end.patched_by)
            await self._direct_carrier(end, plan)
        else:
            if end.port is None:
                raise LinkError("PortMissing", f"{end.endpoint}: its port went while it was patched")
            self._segmenter.fit(end, end.port, splice, offload=plan.offload)
            self._splicer.splice(end.port, splice, offload=plan.offload)
        end.splice = splice
        self._table.spliced(end.endpoint, splice)
        if not plan.reason and end.joint != joint:
            end.joint, end.confirmed = joint, False
            if self._carrier.peer(end) is None:
                self._saved(end.sandbox)  # the kernel cannot tell it to a daemon that comes after this one

    def _joint(self, end: End, plan: Plan) -> Joint:
        """Return whom a patch by that plan reaches."""
        peer = self._carrier.peer(end)
        return Joint(plan.peer, peer.sandbox.epoch if peer else plan.epoch)

    async def _direct_carrier(self, end: End, plan: Plan) -> None:
        driver = plan.driver
        if isinstance(driver, SetsCarrier):
            await call(driver, "set_carrier", end.patched, not plan.down and not plan.reason, limit_s=CALL_LIMIT_S)
        elif plan.down:
            told = f"driver {end.patched_by} cannot take an interface's carrier"
            raise LinkError("CarrierUnsupported", told, retry=False)

    async def _take_carrier(self, end: End, driver: LinkDriver | None) -> None:
        """Take the carrier of a driver's own interface that cannot be what it should be, as ports lose theirs."""
        if end.interface and end.patched is not None and isinstance(driver, SetsCarrier):
            with contextlib.suppress(LinkError):  # what is wrong with the link is told already
                await call(driver, "set_carrier", end.patched, False, limit_s=CALL_LIMIT_S)

    def unplug(self, end: End) -> None:
        """Take an end off the panel at once; the driver is told later, by `unpatch`. Raises KernelError."""
        end.joint, end.splice = None, None
        if end.port is not None:
            with unless_gone():
                self._splicer.set_up(end.port, up=False)
                self._splicer.splice(end.port, None, offload=end.port.offload)

    async def _unplug_direct(self, end: End) -> None:
        """Without a Topology a driver's own interface stays, as one with a port does, without carrier if it can."""
        self._part(end, None)
        self.unplug(end)
        driver = self._catalog.find(end.patched_by)
        if not isinstance(driver, SetsCarrier):
            return
        try:
            await call(driver, "set_carrier", end.patched, False, limit_s=CALL_LIMIT_S)
        except RestartPod:
            await self.unpatch(end)  # a pod that cannot be entered must not stay connected

    async def unpatch(self, end: End) -> None:
        """Take the patch of an end out; what the driver made for it goes too. Raises LinkError."""
        self._part(end, None)
        self.unplug(end)
        end.path_reason = ""
        if end.patched is None:
            return
        driver = self._catalog.find(end.patched_by)
        patched, end.patched, end.patched_by = end.patched, None, ""
        if end.interface:
            self._table.detach(end)
            end.interface, end.interface_up = 0, False
        if driver is not None:
            await call(driver, "unpatch", patched, limit_s=CALL_LIMIT_S)

    def _part(self, end: End, joint: Joint | None) -> None:
        """Before an end turns to another peer, it loses its carrier, as with any cable that is pulled out.

        And the one it had stops sending to it: no frame comes by a wrong link.
        """
        if end.joint is None or (joint is not None and end.joint.peer == joint.peer):
            return
        if end.port is not None:
            self._splicer.set_up(end.port, up=False)
        left = self._table.end(end.joint.peer)
        if left is not None and left is not end and left.joint is not None and left.joint.peer == end.endpoint:
            self.unplug(left)
            self._kick(left.endpoint)


def _stays(end: End, plan: Plan | None) -> bool:
    """Tell whether what an end is patched by can be kept, or changed in place, for what it should be."""
    if plan is None or plan.driver is None or end.patched_by not in ("", plan.driver.name):
        return False
    return not plan.reason or bool(plan.direct and end.interface)


def _replaced(end: End, plan: Plan | None) -> bool:
    """Tell whether another driver's patch can take the place of the one that an end has, without a gap."""
    return (
        plan is not None
        and plan.driver is not None
        and not plan.reason
        and not plan.direct
        and end.patched is not None
        and end.port is not None
        and end.patched_by not in ("", plan.driver.name)
    )
