"""Sandboxes: what happens when a pod comes or goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from meshnet.errors import KernelError, MeshnetError
from meshnet.reconcile.keyed import KeyedLocks
from meshnet.reconcile.owner import count_on
from meshnet.reconcile.rebuild import rebuilt_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Container, Iterable

    from meshnet.driver.api import Inside
    from meshnet.model.topology import Endpoint, PodKey, Topology
    from meshnet.panel.delete import Deleter
    from meshnet.reconcile.align import Aligner
    from meshnet.reconcile.checkpoints import Checkpoints
    from meshnet.reconcile.end import End
    from meshnet.reconcile.furnish import Furnisher
    from meshnet.reconcile.identifiers import Identifiers
    from meshnet.reconcile.inspect import Inspector
    from meshnet.reconcile.keyed import KeyedWorkers
    from meshnet.reconcile.patch import Patcher
    from meshnet.reconcile.publish import Publisher
    from meshnet.reconcile.sandbox import Sandbox, SandboxKey
    from meshnet.reconcile.settle import Settler
    from meshnet.reconcile.table import Table

TURN_S = 0.1
"""How long other pods wait for the drivers of one that comes: built-in drivers need a hundredth of it."""

log = logging.getLogger(__name__)


class Sandboxes:
    """Takes sandboxes in and out. They are made in order, one at a time unless a driver takes long; their claims wait
    for the store together. Only those of one pod always wait for each other's drivers.
    """

    def __init__(
        self,
        *,
        table: Table,
        settler: Settler,
        patcher: Patcher,
        identifiers: Identifiers,
        furnisher: Furnisher,
        workers: KeyedWorkers[Endpoint],
        publisher: Publisher,
        checkpoints: Checkpoints,
        deleter: Deleter,
        inspector: Inspector,
        aligner: Aligner,
    ) -> None:
        self._table = table
        self._settler = settler
        self._patcher = patcher
        self._identifiers = identifiers
        self._furnisher = furnisher
        self._workers = workers
        self._publisher = publisher
        self._checkpoints = checkpoints
        self._deleter = deleter
        self._inspector = inspector
        self._aligner = aligner
        self._making = asyncio.Lock()
        self._pods: KeyedLocks[PodKey] = KeyedLocks()

    def find(self, key: SandboxKey) -> Sandbox | None:
        """Return the sandbox of an attachment; one that was rebuilt is known by its container alone."""
        known = self._table.sandboxes
        return known.get(key) or known.get(rebuilt_key(key.container_id))

    def has_pod(self, container_id: str, netns_id: tuple[int, int]) -> bool:
        """Tell whether a container is known, in that namespace, as the sandbox of a pod."""
        return any(
            sandbox.pod and (sandbox.key.container_id, sandbox.netns_id) == (container_id, netns_id)
            for sandbox in self._table.sandboxes.values()
        )

    def of_network(self, network: str) -> list[Sandbox]:
        return [sandbox for sandbox in self._table.sandboxes.values() if sandbox.key.network == network]

    def check(self, sandbox: Sandbox, told: Container[str] | None) -> list[str]:
        """Return what of a sandbox is not in the kernel as it should be.

        An interface that is not there is a problem if its ADD `told` of it, by name; None: whatever that told.
        """
        ends = [
            end for end in sandbox.ends.values() if end.pod_ifindex or told is None or end.endpoint.interface in told
        ]
        return [problem for end in ends if (problem := self._inspector.problem(end))]

    async def add(self, sandbox: Sandbox, topology: Topology | None, inside: Inside) -> None:
        """Take a new sandbox in: its interfaces, its patches as far as peers are there, its checkpoint, its status.

        Raises KernelError when the namespace cannot be worked in, StoreError when the claim cannot be written; nothing
        is left of it then.
        """
        sandbox.handed = inside
        before: Sandbox | None = None
        try:
            # One that is being undone has taken the pod from another, which has it again only after that.
            async with self._pods.hold(sandbox.pod_key), self._turn(sandbox):
                topology = self._aligner.newest(topology)
                self._make(sandbox, topology, inside)
                before = self._table.add(sandbox)
                self._supersede(before)
            if topology is not None:
                await self._aligner.claim(sandbox)
        except BaseException:
            await asyncio.shield(self._undo(sandbox, before))
            raise
        finally:
            sandbox.handed = None
        self._aligner.kick_unreached(sandbox)
        self._aligner.look_at(sandbox)  # its Topology may have been edited, or have come, meanwhile
        log.info(
            "%s/%s: sandbox %s added, %d ports", sandbox.namespace, sandbox.pod, _short(sandbox), len(sandbox.ends)
        )

    async def add_again(self, sandbox: Sandbox, topology: Topology | None, inside: Inside) -> None:
        """Answer an ADD that was answered before: what is there stays, what is missing is made.

        Raises as `add`, and MeshnetError when the sandbox was removed before its turn came.
        """
        if sandbox.pod and not self._table.is_current(sandbox):
            if self._table.current(sandbox.pod_key) is not None:
                return  # a newer sandbox has the pod; this one's DEL will come
            self._give_back(sandbox)
            if topology is not None:
                count_on(sandbox, topology)
        sandbox.handed = inside
        try:
            async with self._turn(sandbox):
                if not self._table.has(sandbox):
                    raise MeshnetError(f"sandbox {_short(sandbox)}: its DEL came meanwhile")
                self._aligner.make_missing(sandbox, topology, inside)
            if topology is not None:
                await self._aligner.claim(sandbox)
        finally:
            sandbox.handed = None
        self._aligner.kick_toward(sandbox)
        self._aligner.look_at(sandbox)

    async def remove(self, sandbox: Sandbox, *, why: str) -> None:
        """Take a sandbox out with all that was made for it. Raises KernelError when something stays.

        A status that cannot be cleared now is cleared by the next full pass.
        """
        ends = list(sandbox.ends.values())
        was_current = self._table.is_current(sandbox)
        self._table.remove(sandbox)
        for end in ends:
            if self._table.end(end.endpoint) is None:
                self._workers.forget(end.endpoint)
        self._aligner.kick_toward(sandbox)
        deletion = self._delete_ports(ends)
        await self._unpatch_all(ends)
        if deletion is not None:
            try:
                await deletion
            except KernelError:
                self._table.sandboxes.setdefault(sandbox.key, sandbox)  # the next DEL, or GC, tries again
                raise
        # What was in the way of a newer sandbox's ends is gone.
        self._workers.kick_all([end.endpoint for end in ends if self._table.end(end.endpoint) is not None])
        self._identifiers.release(end.endpoint for end in ends if self._table.end(end.endpoint) is None)
        self._publisher.forget(sandbox)
        if sandbox.key not in self._table.sandboxes:  # its ID may be another's by now
            self._checkpoints.remove(sandbox.key)
        if sandbox.pod and was_current:
            try:
                await self._publisher.clear(sandbox)
            except MeshnetError as error:
                log.warning("%s/%s: status not cleared yet: %s", sandbox.namespace, sandbox.pod, error)
        log.info("%s/%s: sandbox %s removed (%s)", sandbox.namespace, sandbox.pod, _short(sandbox), why)

    def topology_changed(self, pod: PodKey) -> None:
        """React to a Topology that came, changed or went: its own ends, and those that lead to its pod."""
        sandbox = self._table.current(pod)
        if sandbox is not None:
            self._aligner.recall(sandbox)
            self._workers.kick_all([end.endpoint for end in sandbox.ends.values()])
            self._aligner.look_at(sandbox)
            self._publisher.changed(sandbox)  # at least its generation, also where nothing of its links changes
        self._workers.kick_all(self._table.toward(pod))

    async def settle_all(self) -> None:
        """Settle every end on this node."""
        await self._settle_now(end.endpoint for end in self._table.ends())

    def _make(self, sandbox: Sandbox, topology: Topology | None, inside: Inside) -> None:
        """Make the ends of a new sandbox. Raises KernelError."""
        # Known before the first peer is patched to it; the claim may find that it must be higher still.
        sandbox.epoch = self._table.next_epoch(sandbox.pod_key) if sandbox.pod else 0
        if topology is not None:
            count_on(sandbox, topology)
        self._furnisher.make(sandbox, self._settler.plans(topology), inside)

    @contextlib.asynccontextmanager
    async def _turn(self, sandbox: Sandbox) -> AsyncIterator[None]:
        """Keep other pods waiting while a sandbox is made, and settle and save it then; a slow driver holds up its own.

        Not all at once: each of many pods would be ready as late as the last.
        """
        async with self._making:
            yield
            # Listed now: when the task begins an edit may have taken one away.
            settling = asyncio.ensure_future(self._settle_now([end.endpoint for end in sandbox.ends.values()]))
            try:
                await asyncio.wait({settling}, timeout=TURN_S)
            except asyncio.CancelledError:
                settling.cancel()
                raise
        await settling
        if self._table.has(sandbox):
            self._checkpoints.save(sandbox)

    async def _settle_now(self, endpoints: Iterable[Endpoint]) -> None:
        """Settle ends within the ADD, so that a direct interface is there when it answers; failures try again later.

        All together: of drivers that do not answer, an ADD waits for one limit, not for one each.
        """
        await asyncio.gather(*map(self._settle_one, endpoints))

    async def _settle_one(self, endpoint: Endpoint) -> None:
        content = False
        try:
            async with self._workers.hold(endpoint):
                content = await self._settler.settle(endpoint)
        except Exception:
            log.exception("settling %s failed", endpoint)
        if not content:
            self._workers.kick(endpoint)

    def _supersede(self, before: Sandbox | None) -> None:
        """A newer sandbox has the pod: unplug the old one, whose DEL will come."""
        if before is not None:
            log.info("%s/%s: sandbox %s is superseded", before.namespace, before.pod, _short(before))
            self._publisher.forget(before)
            for end in before.ends.values():
                self._patcher.unplug(end)

    def _delete_ports(self, ends: Iterable[End]) -> asyncio.Future[None] | None:
        ifindexes = [end.port.ifindex for end in ends if end.port is not None]
        return self._deleter.delete_soon(ifindexes) if ifindexes else None

    async def _unpatch_all(self, ends: Iterable[End]) -> None:
        """Let drivers remove what they made beyond these ends; a driver's failure keeps no pod from going."""
        await asyncio.gather(*(self._unpatch(end) for end in ends if end.patched is not None))

    async def _unpatch(self, end: End) -> None:
        patched, end.patched = end.patched, None
        async with self._workers.hold(end.endpoint):
            if not self._taken_over(end):
                await self._patcher.release(patched, end.patched_by)

    def _taken_over(self, end: End) -> bool:
        """A newer sandbox's end uses what the driver made for the endpoint, unless it is the pod's own interface."""
        now = self._table.end(end.endpoint)
        return not end.interface and now is not None and now.patched_by == end.patched_by

    async def _undo(self, sandbox: Sandbox, before: Sandbox | None) -> None:
        """Remove a sandbox whose ADD failed; if it took the pod from one, the newest that is there has it again."""
        async with self._pods.hold(sandbox.pod_key):
            later = self._table.next_epoch(sandbox.pod_key)
            try:
                await self.remove(sandbox, why="its ADD failed")
            except MeshnetError as error:
                log.error("%s/%s: %s", sandbox.namespace, sandbox.pod, error)
            if before is None or self._table.current(before.pod_key) is not None:
                return
            newest = self._table.newest(before.pod_key, but=sandbox)  # it is there still if its ports could not go
            if newest is not None:
                newest.epoch = later  # the store may have the claim of the one that failed without having said so
                self._reinstate(newest)

    def _reinstate(self, sandbox: Sandbox) -> None:
        self._give_back(sandbox)
        self._checkpoints.save_soon(sandbox)
        self._aligner.look_at(sandbox)
        self._workers.kick_all([end.endpoint for end in sandbox.ends.values()])
        self._aligner.kick_toward(sandbox)

    def _give_back(self, sandbox: Sandbox) -> None:
        """A newer sandbox had the pod, and is gone: it is this one's again."""
        for end in sandbox.ends.values():
            self._inspector.look_again(end)  # nobody has listened to it meanwhile
        self._table.add(sandbox)


def _short(sandbox: Sandbox) -> str:
    return sandbox.key.container_id[:13]
