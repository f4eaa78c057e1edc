"""Settling: making one end of a link as it should be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs

from meshnet.dispatch.resolve import resolve
from meshnet.errors import KernelError, LinkError
from meshnet.model.fields import first_of
from meshnet.reconcile.carrier import reaches
from meshnet.reconcile.owner import superseded

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.dispatch.place import Place
    from meshnet.dispatch.resolve import Plan
    from meshnet.model.topology import Endpoint, Link, Topology
    from meshnet.reconcile.cache import TopologyCache
    from meshnet.reconcile.carrier import CarrierKeeper
    from meshnet.reconcile.end import End, Joint
    from meshnet.reconcile.inspect import Inspector
    from meshnet.reconcile.patch import Patcher
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)


class Settler:
    """Observe, compare, repair for one end at a time. The caller never settles one end twice at once."""

    def __init__(
        self,
        *,
        place: Place,
        table: Table,
        cache: TopologyCache,
        carrier: CarrierKeeper,
        patcher: Patcher,
        inspector: Inspector,
        changed: Callable[[End], None],
        kick: Callable[[Endpoint], None],
    ) -> None:
        self._place = place
        self._table = table
        self._cache = cache
        self._carrier = carrier
        self._patcher = patcher
        self._inspector = inspector
        self._changed = changed
        self._kick = kick

    def plans(self, topology: Topology | None) -> list[Plan]:
        """Return what the endpoints that a Topology declares should be; without one, nothing."""
        return [self._plan(topology, link) for link in topology.links] if topology is not None else []

    def _plan(self, topology: Topology, link: Link) -> Plan:
        peer = topology.peer(link)
        entry = self._cache.entry(peer.pod_key) if peer else None
        peer_topology = entry.topology if entry else None
        runs_here = self._runs_here(peer, peer_topology)
        peer_here = runs_here and self._table.end(peer) is not None
        plan = resolve(self._place, topology, link, peer_topology, peer_here=peer_here)
        if entry is not None and entry.invalid is not None and peer_topology is None:
            # Of all that is wrong the first: each of many links says so.
            message = f"{entry.invalid.object}: {first_of(entry.invalid.problems)}"
            return attrs.evolve(plan, reason="PeerInvalid", message=message, waiting=False)
        if plan.reason == "PeerNotRunning" and runs_here:
            message = f"{peer} has no interface yet: its pod was started without it"
            return attrs.evolve(plan, reason="PeerNotPatched", message=message)
        return plan

    def _runs_here(self, peer: Endpoint | None, topology: Topology | None) -> bool:
        """Tell whether this node runs a peer's pod: not when another one does, and an old sandbox waits for DEL."""
        sandbox = self._table.current(peer.pod_key) if peer is not None else None
        return sandbox is not None and not (topology is not None and self._taken_over(sandbox, topology))

    async def settle(self, endpoint: Endpoint) -> bool:
        """Make an end as it should be; tell whether it is, or why waiting cannot help."""
        end = self._table.end(endpoint)
        if end is None or not self._cache.synced.is_set():
            return True
        end.adopted = False
        before = (end.joint, end.why_not, end.plan)
        entry = self._cache.entry(end.sandbox.pod_key)
        end.plan = self._plan_of(end)
        self._table.head(endpoint, end.plan.peer if end.plan else None)
        if end.plan is not None and end.plan.down:
            self._carry(end)  # at once, however long its driver takes
        content = await self._try(end)
        if self._table.end(endpoint) is end:
            content = self._carry(end) and content
            end.generation = entry.resource.generation if entry else 0
            if before != (end.joint, end.why_not, end.plan):
                self._tell(end, before[0])
        return content

    def path_changed(self, end: End, reason: str, *, by: str) -> None:
        """Note what a driver says of an end's path, a CamelCase reason why it fails or ``""``, if it is its affair.

        An older sandbox of the pod may have been patched by another one, which forgets it only at the sandbox's DEL.
        """
        if end.path_reason == reason or not end.concerns(by):
            return
        end.path_reason = reason
        if not self._carry(end):
            self._kick(end.endpoint)
        self._tell(end, end.joint)

    def far_changed(self, end: End, *, again: bool) -> None:
        """Note that the other end, on another node, or the way to its daemon, is not as it was.

        Args:
            end: the one here.
            again: what its driver is told has changed.
        """
        if not self._carry(end) or (again and not self._patcher.knows(end)):
            self._kick(end.endpoint)
        self._changed(end)

    async def _try(self, end: End) -> bool:
        """Make an end as it should be. What was wrong before stays told until it is known how it went this time."""
        try:
            await self._patcher.make(end)
        except LinkError as error:
            end.fail(error.reason, str(error))
            return not error.retry
        except KernelError as error:
            end.fail("KernelRefused", str(error))
            self._inspector.look_again(end)  # it may not be as it was, and nobody told of it
            return False
        end.fail("", "")
        return True

    def _carry(self, end: End) -> bool:
        """Give or take carrier as both ends are now; tell whether the kernel did it."""
        try:
            return self._carrier.update(end)
        except KernelError as error:
            log.warning("%s: carrier: %s", end.endpoint, error)
            return False

    def _plan_of(self, end: End) -> Plan | None:
        """Return what an end should be; ``Superseded`` when another sandbox has taken its pod over since."""
        topology = self._cache.topology(end.sandbox.pod_key)
        link = topology.link(end.endpoint.interface) if topology is not None else None
        if topology is None or link is None:
            return None
        plan = self._plan(topology, link)
        if self._taken_over(end.sandbox, topology):
            claim = topology.claim
            message = f"node {claim.node} has taken the pod over with sandbox {claim.container_id[:13]}"
            if not claim.node:
                message = f"another sandbox had taken the pod over (epoch {claim.epoch}) and is gone"
            return attrs.evolve(plan, reason="Superseded", message=message)
        return plan

    def _taken_over(self, sandbox: Sandbox, topology: Topology) -> bool:
        return superseded(sandbox, topology, self._table.node)

    def _tell(self, end: End, before: Joint | None) -> None:
        self._changed(end)
        peer = self._carrier.peer(end)
        if peer is not None:
            self._changed(peer)
            if end.joint != before and not (reaches(peer, end) and self._patcher.knows(peer)):
                self._kick(peer.endpoint)
