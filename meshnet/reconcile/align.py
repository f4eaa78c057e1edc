"""Aligning: a running pod has the interfaces that its Topology declares, and a Topology knows who runs its pod.

Looked at whenever a Topology changes, at the end of an ADD and at every pass; what fails is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from meshnet.errors import LinkError, MeshnetError
from meshnet.reconcile.end import Joint
from meshnet.reconcile.keyed import KeyedWorkers
from meshnet.reconcile.owner import learn, unclaimed
from meshnet.reconcile.rebuild import is_rebuilt, recall

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshnet.driver.api import Inside
    from meshnet.model.topology import Endpoint, PodKey, Topology
    from meshnet.reconcile.cache import TopologyCache
    from meshnet.reconcile.checkpoints import Checkpoints
    from meshnet.reconcile.end import End
    from meshnet.reconcile.furnish import Furnisher
    from meshnet.reconcile.identifiers import Identifiers
    from meshnet.reconcile.patch import Patcher
    from meshnet.reconcile.publish import Publisher
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.settle import Settler
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)


class Aligner:
    """Gives pods the interfaces that their Topologies declare, takes others away, and claims pods that nobody has."""

    def __init__(
        self,
        *,
        table: Table,
        cache: TopologyCache,
        settler: Settler,
        patcher: Patcher,
        identifiers: Identifiers,
        furnisher: Furnisher,
        workers: KeyedWorkers[Endpoint],
        publisher: Publisher,
        checkpoints: Checkpoints,
    ) -> None:
        self._table = table
        self._cache = cache
        self._settler = settler
        self._patcher = patcher
        self._identifiers = identifiers
        self._furnisher = furnisher
        self._workers = workers
        self._publisher = publisher
        self._checkpoints = checkpoints
        self._pods = KeyedWorkers(self._work)

    def look_at(self, sandbox: Sandbox) -> None:
        """See to it that a pod gets what its Topology declares, if it has not got it yet."""
        if self._differs(sandbox):
            self._pods.kick(sandbox.pod_key)

    def look_at_all(self) -> None:
        for sandbox in list(self._table.sandboxes.values()):
            self.look_at(sandbox)

    def recall(self, sandbox: Sandbox) -> None:
        """Let a sandbox learn from its Topology what no checkpoint tells."""
        entry = self._cache.entry(sandbox.pod_key)
        if entry is None or entry.topology is None:
            return
        told = is_rebuilt(sandbox) and recall(sandbox, entry.topology.claim, entry.resource.status)
        if told:
            self._rejoin(sandbox)
        if learn(sandbox, entry.topology) or told:
            self._checkpoints.save_soon(sandbox)

    def newest(self, topology: Topology | None) -> Topology | None:
        """Return a Topology as it is by now: it may have been edited while other pods had their turn."""
        if topology is None:
            return None
        return self._cache.topology(topology.key) or topology

    def make_missing(self, sandbox: Sandbox, topology: Topology | None, inside: Inside) -> list[Endpoint]:
        """Make the ends that a sandbox has not got yet. Raises KernelError."""
        missing = [plan for plan in self._settler.plans(topology) if plan.local.interface not in sandbox.ends]
        ends = self._furnisher.make(sandbox, missing, inside)
        for end in ends:
            self._table.enter(end)
        return [end.endpoint for end in ends]

    async def claim(self, sandbox: Sandbox, *, over: bool = True) -> None:
        """Claim the pod, `over` another's claim or not; a new epoch is kept, and told to those patched to it before.

        Raises StoreError, InvalidObject.
        """
        before = (sandbox.epoch, sandbox.claimed)
        try:
            await self._publisher.claim(sandbox, over=over)
        finally:
            # Also when it failed: the store may have it without having said so.
            if (sandbox.epoch, sandbox.claimed) != before and self._table.is_current(sandbox):
                self._checkpoints.save_soon(sandbox)
                self.kick_toward(sandbox)
                self._workers.kick_all([end.endpoint for end in sandbox.ends.values()])

    def kick_toward(self, sandbox: Sandbox) -> None:
        """Settle the ends on this node whose links lead to a sandbox's pod."""
        if sandbox.pod:
            self._workers.kick_all(self._table.toward(sandbox.pod_key))

    def kick_unreached(self, sandbox: Sandbox) -> None:
        """As `kick_toward`, but for ends that a sandbox's own have just been patched to.

        Settling those has kicked the others' workers, or found them patched back.
        """
        reached = {end.joint.peer for end in sandbox.ends.values() if end.joint is not None}
        if sandbox.pod:
            self._workers.kick_all(self._table.toward(sandbox.pod_key) - reached)

    async def close(self) -> None:
        """Cancel what is under way."""
        await self._pods.close()

    def _rejoin(self, sandbox: Sandbox) -> None:
        """Who is patched to a rebuilt sandbox knows it by its epoch."""
        for end in self._table.ends():
            peer = end.joint.peer if end.joint else None
            if peer is not None and peer.pod_key == sandbox.pod_key:
                end.joint = Joint(peer, sandbox.epoch)

    def _differs(self, sandbox: Sandbox) -> bool:
        if sandbox.handed is not None or not self._table.is_current(sandbox):
            return False  # an ADD under way looks again at its end
        return self._is_unclaimed(sandbox) or self._declared(sandbox) != sandbox.ends.keys()

    def _is_unclaimed(self, sandbox: Sandbox) -> bool:
        return unclaimed(sandbox, self._cache.topology(sandbox.pod_key), self._table.node)

    def _declared(self, sandbox: Sandbox) -> set[str]:
        """Return the interfaces that a pod shall have by now: a Topology that is deleted only unplugs what it has."""
        topology = self._cache.topology(sandbox.pod_key)
        return set(sandbox.ends) if topology is None else {link.local_intf for link in topology.links}

    async def _work(self, pod: PodKey) -> bool:
        """Align a pod; tell whether nothing is left to do, or only what waiting cannot help."""
        sandbox = self._table.current(pod)
        if sandbox is None or not self._differs(sandbox):
            return True
        try:
            await self._align(sandbox)
        except MeshnetError as error:
            log.warning("%s/%s: %s", sandbox.namespace, sandbox.pod, error)
            return isinstance(error, LinkError) and not error.retry
        return not self._differs(sandbox)

    async def _align(self, sandbox: Sandbox) -> None:
        declared = self._declared(sandbox)
        await self._withdraw_all([end for name, end in sandbox.ends.items() if name not in declared])
        if not self._table.is_current(sandbox):
            return  # removed meanwhile
        try:
            if self._declared(sandbox) - sandbox.ends.keys():
                with sandbox.enter() as inside:
                    self._workers.kick_all(self.make_missing(sandbox, self._cache.topology(sandbox.pod_key), inside))
                self.kick_toward(sandbox)  # of an end that could not be made they hear nothing else
        finally:
            # Also for a pod that cannot be entered any more: its Topology says so.
            self._checkpoints.save_soon(sandbox)
            if self._is_unclaimed(sandbox):
                await self.claim(sandbox, over=False)
            self._publisher.changed(sandbox)

    async def _withdraw_all(self, ends: Iterable[End]) -> None:
        """Take interfaces away, together: the kernel takes as long for one as for all of them."""
        outcomes = await asyncio.gather(*map(self._withdraw, ends), return_exceptions=True)
        for error in outcomes:
            if error is not None:
                raise error

    async def _withdraw(self, end: End) -> None:
        async with self._workers.hold(end.endpoint):
            if end.endpoint.interface in self._declared(end.sandbox):
                return  # again, while a driver was at work
            log.info("%s: no longer declared, its interface goes", end.endpoint)
            try:
                await self._patcher.unpatch(end)
            except LinkError as error:
                log.warning("%s: what its driver made stays for now: %s", end.endpoint, error)
            await self._furnisher.remove(end)
            if self._table.end(end.endpoint) is None:  # else a newer sandbox has it
                self._identifiers.release([end.endpoint])
        self.kick_toward(end.sandbox)
