"""Publishing status: at once at ADD and DEL; between them rarely, however much happens.

Between ADD and DEL there is one write when all links are up, or 5 s after the first change that is not yet written, and
never two of those within 5 s. Status is for people and for finding the peer, not for signalling.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import Conflict, InvalidObject, NotFound, StoreError, StoreUnavailable
from meshnet.model.codec import decode_claim
from meshnet.model.resource import Kind
from meshnet.reconcile.herald import Herald
from meshnet.reconcile.identifiers import RECEIVE
from meshnet.reconcile.owner import unclaimed
from meshnet.reconcile.status import all_up, cleared, compose, covers, failures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.cache import Entry, TopologyCache
    from meshnet.reconcile.carrier import CarrierKeeper
    from meshnet.reconcile.gate import ReadinessGate
    from meshnet.reconcile.identifiers import Identifiers
    from meshnet.reconcile.state import Sandbox
    from meshnet.reconcile.table import Table
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

PAUSE_S = 5.0
TOGETHER_S = 0.05
TELL_S = 2.0
TRIES = 8


@attrs.define(eq=False)
class _Pending:
    """What is due for one sandbox.

    Attributes:
        first_change: when the first change came that is not written yet; seconds of the loop's clock.
        timer, consider, task: the write to come, the look at when that shall be, the write under way.
        again: the write under way may be from before a change, or failed.
    """

    first_change: float
    timer: asyncio.TimerHandle | None = None
    consider: asyncio.Handle | None = None
    task: asyncio.Task[None] | None = None
    again: bool = False


class Publisher:
    """Writes the status of this node's pods, each by its owner alone; `gate`, if any, hears of each."""

    def __init__(
        self,
        store: Store,
        cache: TopologyCache,
        table: Table,
        *,
        carrier: CarrierKeeper,
        identifiers: Identifiers,
        node: str,
        node_ip: str,
        gate: ReadinessGate | None = None,
    ) -> None:
        self._store = store
        self._cache = cache
        self._table = table
        self._carrier = carrier
        self._identifiers = identifiers
        self._node = node
        self._node_ip = node_ip
        self._gate = gate
        self._herald = Herald(store, node)
        self._pending: dict[Sandbox, _Pending] = {}
        self._last: dict[Sandbox, float] = {}

    async def claim(self, sandbox: Sandbox, *, over: bool = True) -> bool:
        """Claim the pod for a sandbox: epoch + 1, in one write.

        False when its Topology is gone, and, unless `over` the claim of another, when that came first.

        Raises StoreUnavailable, Conflict, InvalidObject.
        """
        claimed = await self._write(sandbox, claiming=True, over=over)
        if claimed and not self._table.is_current(sandbox):
            await self.clear(sandbox)  # it was removed while the claim was on its way
        elif claimed:
            self.changed(sandbox)  # what came while it was on its way could not be written
        return claimed

    def unclaimed(self, sandbox: Sandbox) -> bool:
        """Tell whether the pod is to be claimed for its sandbox once more."""
        topology = self._cache.topology(sandbox.pod_key)
        return topology is not None and unclaimed(sandbox, topology, self._node)

    async def clear(self, sandbox: Sandbox) -> None:
        """Clear node and sandbox from the Topology, if still this sandbox's. Raises StoreUnavailable, InvalidObject."""
        self.forget(sandbox)
        entry = self._cache.entry(sandbox.pod_key)
        for _ in range(TRIES):
            if entry is None or not self._owned(entry, sandbox):
                return
            with contextlib.suppress(Conflict):
                await self._clear(entry)
                return
            entry = await self._cache.reread(sandbox.pod_key)

    async def clear_absent(self) -> None:
        """Clear every status that says its pod runs here while it does not. Raises StoreError."""
        for entry in self._cache.entries():
            if entry.resource.status.get("node") == self._node and self._table.current(entry.resource.key) is None:
                try:
                    await self._clear(entry)
                except Conflict:
                    continue
                except InvalidObject as error:  # of this one alone
                    log.warning("status of %s, which runs no more, not cleared yet: %s", entry.resource, error)

    def changed(self, sandbox: Sandbox) -> None:
        """Note that a sandbox's links are not as they were last written. One that has lost its pod writes nothing."""
        if not self._table.is_current(sandbox):
            return
        loop = asyncio.get_running_loop()
        pending = self._pending.get(sandbox)
        if pending is None:
            pending = self._pending[sandbox] = _Pending(loop.time())
        if pending.task is not None:
            # What is being written may be from before this change.
            pending.again = True
        elif pending.consider is None:
            # A pod's ends change together, and each time all of them are looked at.
            pending.consider = loop.call_later(TOGETHER_S, self._consider, sandbox)

    def _consider(self, sandbox: Sandbox) -> None:
        """Set the time of the next write."""
        pending = self._pending.get(sandbox)
        if pending is None or pending.task is not None:
            return
        pending.consider = None
        earliest = self._last.get(sandbox, -PAUSE_S) + PAUSE_S
        due = earliest if self._all_up(sandbox) else max(earliest, pending.first_change + PAUSE_S)
        if pending.timer is not None:
            pending.timer.cancel()
        pending.timer = asyncio.get_running_loop().call_at(due, self._begin, sandbox)

    async def flush(self) -> None:
        """Write what is due now, without waiting for its time."""
        for sandbox in list(self._pending):
            self._begin(sandbox)
        tasks = [pending.task for pending in self._pending.values() if pending.task]
        if tasks:
            await asyncio.wait(tasks)
        await self._herald.told(TELL_S)

    def close(self) -> None:
        for sandbox in list(self._pending):
            self.forget(sandbox)
        self._herald.close()
        if self._gate is not None:
            self._gate.close()

    def forget(self, sandbox: Sandbox) -> None:
        """Drop what is due for a sandbox, which is gone."""
        if self._gate is not None:
            self._gate.forget(sandbox)
        self._last.pop(sandbox, None)
        pending = self._pending.pop(sandbox, None)
        if pending is None:
            return
        for due in (pending.timer, pending.consider, pending.task):
            if due is not None:
                due.cancel()

    def _begin(self, sandbox: Sandbox) -> None:
        pending = self._pending.get(sandbox)
        if pending is None or pending.task is not None:
            return
        if pending.timer is not None:
            pending.timer.cancel()
        pending.task = asyncio.get_running_loop().create_task(
            self._publish(sandbox, pending), name=f"status {sandbox.pod_key}"
        )

    async def _publish(self, sandbox: Sandbox, pending: _Pending) -> None:
        stands = True
        try:
            stands = await self._write(sandbox)
            self._tell_loss(sandbox)
        except (StoreError, InvalidObject) as error:
            log.warning("status of %s/%s not written yet: %s", sandbox.namespace, sandbox.pod, error)
            pending.again = True
        finally:
            if self._pending.get(sandbox) is pending:
                del self._pending[sandbox]
        if not self._table.is_current(sandbox):
            self._last.pop(sandbox, None)
            return
        if stands:  # one that has yet to be claimed has nothing to wait for after that
            self._last[sandbox] = asyncio.get_running_loop().time()
        if pending.again:
            self.changed(sandbox)

    def _tell_loss(self, sandbox: Sandbox) -> None:
        """Let the gate know of a pod whose Topology was deleted; who never had one is told nothing."""
        known = self._cache.synced.is_set() and self._table.is_current(sandbox)
        if self._gate is not None and known and sandbox.claimed and self._cache.entry(sandbox.pod_key) is None:
            self._gate.lose(sandbox)

    async def _write(self, sandbox: Sandbox, *, claiming: bool = False, over: bool = False) -> bool:
        # Between ADD and DEL nobody asks for a Topology that is not there: the watch tells of one that comes.
        entry = await self._cache.read(sandbox.pod_key) if claiming else self._cache.entry(sandbox.pod_key)
        for _ in range(TRIES):
            if entry is None or not self._table.is_current(sandbox):
                return False
            owned = self._owned(entry, sandbox)
            if not owned and not (claiming and (over or self.unclaimed(sandbox))):
                return False
            status = entry.resource.status
            if claiming:
                claim = decode_claim(status)
                sandbox.epoch = max(sandbox.epoch, claim.epoch if owned else claim.next_epoch)
            wanted = self._compose(sandbox, entry)
            try:
                await self._put(entry, wanted)
            except NotFound:
                return False
            except Conflict:
                entry = await self._cache.reread(sandbox.pod_key)
                continue
            if claiming:
                sandbox.claimed = entry.resource.uid
            if self._gate is not None:
                self._gate.tell(sandbox, wanted)
            return True
        raise Conflict(f"Topology {sandbox.namespace}/{sandbox.pod}: its status was changed by others {TRIES} times")

    async def _put(self, entry: Entry, wanted: Mapping[str, Any]) -> None:
        """Write a status and tell of what newly fails in it, unless it says all that already."""
        status = entry.resource.status
        if covers(status, wanted):
            return
        await self._kept()
        await self._patch(entry, wanted)
        self._herald.tell(str(entry.resource), failures(status, wanted))

    def _compose(self, sandbox: Sandbox, entry: Entry) -> dict[str, Any]:
        return compose(
            sandbox,
            entry,
            other=self._carrier.other,
            receive_id=self._receive_id,
            node=self._node,
            node_ip=self._node_ip,
        )

    def _receive_id(self, endpoint: Endpoint) -> int:
        try:
            return self._identifiers.allocate(RECEIVE, endpoint)
        except (OSError, LookupError) as error:
            raise StoreUnavailable(f"{endpoint}: no receive identifier: {error}") from error

    async def _kept(self) -> None:
        """Before anybody is told an identifier it must survive the loss of power."""
        try:
            await self._identifiers.kept()
        except OSError as error:
            raise StoreUnavailable(f"receive identifiers are not kept: {error}") from error

    async def _clear(self, entry: Entry) -> None:
        with contextlib.suppress(NotFound):
            await self._patch(entry, cleared(entry.resource.status))

    async def _patch(self, entry: Entry, status: Mapping[str, Any]) -> None:
        resource = entry.resource
        written = await self._store.patch_status(
            Kind.TOPOLOGY, resource.namespace, resource.name, status, resource_version=resource.resource_version
        )
        self._cache.take(written, ours=True)

    def _owned(self, entry: Entry, sandbox: Sandbox) -> bool:
        status = entry.resource.status
        return status.get("node") == self._node and status.get("container_id") == sandbox.key.container_id

    def _all_up(self, sandbox: Sandbox) -> bool:
        return all_up(sandbox, self._cache.entry(sandbox.pod_key), self._carrier.other)
