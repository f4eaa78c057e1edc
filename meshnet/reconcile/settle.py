"""Settling: making one end of a link as it should be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from meshnet.dispatch.resolve import resolve
from meshnet.driver.api import Interface, LinkEnd, Peer, Rebuild, SetsCarrier
from meshnet.driver.calls import call
from meshnet.errors import KernelError, LinkError
from meshnet.model import names
from meshnet.panel.splice import unless_gone
from meshnet.reconcile.carrier import reaches
from meshnet.reconcile.state import Joint

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.dispatch.resolve import Place, Plan
    from meshnet.driver.api import LinkDriver, Splice
    from meshnet.model.topology import Endpoint, Topology
    from meshnet.panel.splice import Splicer
    from meshnet.reconcile.cache import TopologyCache
    from meshnet.reconcile.carrier import CarrierKeeper
    from meshnet.reconcile.furnish import Furnisher
    from meshnet.reconcile.state import End
    from meshnet.reconcile.table import Table

CALL_LIMIT_S = 10.0

log = logging.getLogger(__name__)


class Settler:
    """Observe, compare, repair for one end at a time. The caller never settles one end twice at once."""

    def __init__(
        self,
        *,
        place: Place,
        table: Table,
        cache: TopologyCache,
        splicer: Splicer,
        carrier: CarrierKeeper,
        furnisher: Furnisher,
        changed: Callable[[End], None],
        kick: Callable[[Endpoint], None],
    ) -> None:
        self._place = place
        self._table = table
        self._cache = cache
        self._splicer = splicer
        self._carrier = carrier
        self._furnisher = furnisher
        self._changed = changed
        self._kick = kick

    def plan(self, topology: Topology | None, endpoint: Endpoint) -> Plan | None:
        """Return what an endpoint should be, or None when no Topology declares it."""
        link = topology.link(endpoint.interface) if topology else None
        if topology is None or link is None:
            return None
        peer = topology.peer(link)
        entry = self._cache.entry((peer.namespace, peer.pod)) if peer else None
        peer_topology = entry.topology if entry else None
        plan = resolve(self._place, topology, link, peer_topology, peer_here=self._table.end(peer) is not None)
        if entry is not None and peer_topology is None:
            return attrs.evolve(plan, reason="PeerInvalid", message=str(entry.invalid), waiting=False)
        return plan

    def plans(self, topology: Topology | None) -> list[Plan]:
        """Return what the endpoints that a Topology declares should be; without one, nothing."""
        if topology is None:
            return []
        plans = (self.plan(topology, topology.endpoint(link)) for link in topology.links)
        return [plan for plan in plans if plan is not None]

    async def settle(self, endpoint: Endpoint) -> bool:
        """Make an end as it should be; tell whether it is, or why waiting cannot help."""
        end = self._table.end(endpoint)
        if end is None or not self._cache.synced.is_set():
            return True
        end.adopted = False
        before = (end.joint, end.why_not, end.plan)
        entry = self._cache.entry(end.sandbox.pod_key)
        end.plan = self._plan_of(end)
        self._table.head(endpoint, _pod(end.plan.peer) if end.plan else None)
        content = await self._try(end)
        if self._table.end(endpoint) is end:
            content = self._carry(end) and content
            end.generation = entry.resource.generation if entry else 0
            if before != (end.joint, end.why_not, end.plan):
                self._tell(end, before[0])
        return content

    def path_changed(self, end: End, reason: str) -> None:
        """Note what a driver says of an end's path: a CamelCase reason why it fails, or ``""``."""
        if end.path_reason == reason:
            return
        end.path_reason = reason
        if not self._carry(end):
            self._kick(end.endpoint)
        self._tell(end, end.joint)

    async def _try(self, end: End) -> bool:
        """Make an end as it should be. What was wrong before stays told until it is known how it went this time."""
        try:
            await self._make(end)
        except LinkError as error:
            end.fail(error.reason, str(error))
            return not error.retry
        except KernelError as error:
            end.fail("KernelRefused", str(error))
            return False
        end.fail("", "")
        return True

    def _carry(self, end: End) -> bool:
        """Give or take carrier as both ends are now; tell whether the kernel did it."""
        try:
            self._carrier.update(end)
        except KernelError as error:
            log.warning("%s: carrier: %s", end.endpoint, error)
            return False
        return True

    def _plan_of(self, end: End) -> Plan | None:
        """Return what an end should be; nothing, when another sandbox has taken its pod over since."""
        topology = self._cache.topology(end.sandbox.pod_key)
        plan = self.plan(topology, end.endpoint)
        if plan is None or topology is None:
            return plan
        claim, own = topology.claim, end.sandbox
        if claim.epoch > own.epoch and claim.container_id != own.key.container_id:
            message = f"node {claim.node or '?'} has taken the pod over with sandbox {claim.container_id[:13]}"
            return attrs.evolve(plan, reason="Superseded", message=message)
        return plan

    def _tell(self, end: End, before: Joint | None) -> None:
        self._changed(end)
        peer = self._carrier.peer(end)
        if peer is not None:
            self._changed(peer)
            if end.joint != before and not reaches(peer, end):
                self._kick(peer.endpoint)

    async def _make(self, end: End) -> None:
        plan = end.plan
        if not _stays(end, plan):
            await self.unpatch(end)
        if plan is None:
            return
        await self._furnisher.apply(end, plan)
        if not plan.reason or plan.direct:
            await self._patch(end, plan)

    async def _patch(self, end: End, plan: Plan) -> None:
        driver = plan.driver
        assert driver is not None
        peer = self._table.end(plan.peer)
        wanted = self._link_end(end, plan)
        try:
            splice = await call(driver, "patch", wanted, _peer(self._place.node, peer), limit_s=CALL_LIMIT_S)
        except Rebuild:
            await self.unpatch(end)
            splice = await call(driver, "patch", wanted, _peer(self._place.node, peer), limit_s=CALL_LIMIT_S)
        end.patched, end.patched_by = wanted, driver.name
        if self._table.end(end.endpoint) is not end:
            await self.unpatch(end)
            return
        await self._connect(end, plan, splice, peer, driver)

    async def _connect(self, end: End, plan: Plan, splice: Splice, peer: End | None, driver: LinkDriver) -> None:
        joint = Joint(plan.peer, peer.sandbox.epoch if peer else 0)
        self._part(end, joint)
        if isinstance(splice, Interface):
            if end.interface != splice.ifindex:
                # Another one than before, of the same driver or not: nothing of the spec is applied to it yet.
                end.applied = attrs.evolve(end.applied, driver="")
            self._table.detach(end)
            end.interface = splice.ifindex
            self._table.enter(end)
            self._furnisher.observe(end)
            await self._direct_carrier(end, plan, driver)
        else:
            if end.port is None:
                raise LinkError("PortMissing", f"{end.endpoint}: its port went while it was patched")
            self._splicer.splice(end.port, splice, offload=plan.offload)
        end.splice = splice
        if not plan.reason:
            end.joint = joint

    async def _direct_carrier(self, end: End, plan: Plan, driver: LinkDriver) -> None:
        if isinstance(driver, SetsCarrier):
            await call(driver, "set_carrier", end.patched, not plan.down and not plan.reason, limit_s=CALL_LIMIT_S)
        elif plan.down:
            raise LinkError(
                "CarrierUnsupported", f"driver {driver.name} cannot take an interface's carrier", retry=False
            )

    def unplug(self, end: End) -> None:
        """Take an end off the panel at once; the driver is told later, by `unpatch`. Raises KernelError."""
        end.joint, end.splice = None, None
        if end.port is not None:
            with unless_gone():
                self._splicer.set_up(end.port, up=False)
                self._splicer.splice(end.port, None, offload=end.port.offload)

    async def unpatch(self, end: End) -> None:
        """Take the patch of an end out; what the driver made for it goes too. Raises LinkError."""
        self._part(end, None)
        self.unplug(end)
        end.path_reason = ""
        if end.patched is None:
            return
        driver = self._place.catalog.find(end.patched_by)
        patched, end.patched, end.patched_by = end.patched, None, ""
        if end.interface:
            self._table.detach(end)
            end.interface, end.interface_up = 0, False
        if driver is not None:
            await call(driver, "unpatch", patched, limit_s=CALL_LIMIT_S)

    def _part(self, end: End, joint: Joint | None) -> None:
        """Before an end turns to another peer, the one it had stops sending to it: no frame comes by a wrong link."""
        if end.joint is None or (joint is not None and end.joint.peer == joint.peer):
            return
        left = self._table.end(end.joint.peer)
        if left is not None and left is not end and left.joint is not None and left.joint.peer == end.endpoint:
            self.unplug(left)
            self._kick(left.endpoint)

    def _link_end(self, end: End, plan: Plan) -> LinkEnd:
        return LinkEnd(
            local=end.endpoint,
            peer=plan.peer,
            parent=plan.parent,
            uid=plan.uid,
            mtu=plan.mtu,
            mac=end.applied.mac,
            options=plan.options,
            down=plan.down,
            alias=names.Mark.of(end.endpoint, plan.uid, end.sandbox.key.container_id).alias,
            port=end.port.facts() if end.port else None,
            pod=end.sandbox,
        )


def _stays(end: End, plan: Plan | None) -> bool:
    """Tell whether what an end is patched by can be kept, or changed in place, for what it should be."""
    if plan is None or plan.driver is None or end.patched_by not in ("", plan.driver.name):
        return False
    return not plan.reason or bool(plan.direct and end.interface)


def _peer(node: str, peer: End | None) -> Peer | None:
    """Return what a driver may know of the peer on this node."""
    if peer is None:
        return None
    return Peer(node, peer.port.facts() if peer.port else None, peer.sandbox.epoch)


def _pod(endpoint: Endpoint | None) -> tuple[str, str] | None:
    return (endpoint.namespace, endpoint.pod) if endpoint else None
