"""Writing status: what a Topology says of its pod, each written by the pod's owner alone, and who hears of it."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from meshnet.errors import Conflict, InvalidObject, NotFound, StoreUnavailable
from meshnet.model.codec import decode_claim
from meshnet.model.resource import Kind
from meshnet.reconcile.fitting import fitting
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
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.table import Table
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

TELL_S = 2.0
TRIES = 8


class StatusWriter:
    """Writes the status of this node's pods; events tell of what newly fails in it, and `gate`, if any, hears of each.

    Args:
        node: this one.
        node_ip: where peers reach it.
    """

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
        self._untold: dict[Sandbox, Mapping[str, Any]] = {}

    async def claim(self, sandbox: Sandbox, *, over: bool) -> bool:
        """Write that the pod is a sandbox's: epoch + 1.

        False when its Topology is gone, and, unless `over` the claim of another, when that came first.

        Raises StoreUnavailable, Conflict, InvalidObject.
        """
        return await self._write(sandbox, claiming=True, over=over)

    async def write(self, sandbox: Sandbox) -> bool:
        """Write how the links are; False when its Topology is gone, or is not this sandbox's.

        Raises StoreUnavailable, Conflict, InvalidObject.
        """
        written = await self._write(sandbox)
        self._tell_loss(sandbox)
        return written

    async def clear(self, sandbox: Sandbox) -> None:
        """Clear node and sandbox from the Topology, if still this sandbox's. Raises StoreUnavailable, InvalidObject."""
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

    async def told(self) -> None:
        """Wait a moment until all that is to be told is."""
        await self._herald.told(TELL_S)

    def forget(self, sandbox: Sandbox) -> None:
        """Tell nothing more of a sandbox, which is gone or has lost its pod."""
        self._untold.pop(sandbox, None)
        if self._gate is not None:
            self._gate.forget(sandbox)

    def close(self) -> None:
        self._herald.close()
        if self._gate is not None:
            self._gate.close()

    def all_up(self, sandbox: Sandbox) -> bool:
        """Tell whether every link is up as its Topology has it by now."""
        return all_up(sandbox, self._cache.entry(sandbox.pod_key), self._carrier.other)

    async def _write(self, sandbox: Sandbox, *, claiming: bool = False, over: bool = False) -> bool:
        # Between ADD and DEL nobody asks for a Topology that is not there: the watch tells of one that comes.
        entry = await self._cache.read(sandbox.pod_key) if claiming else self._cache.entry(sandbox.pod_key)
        for _ in range(TRIES):
            if entry is None or not self._table.is_current(sandbox):
                return False
            owned = self._owned(entry, sandbox)
            if not owned and not (claiming and (over or unclaimed(sandbox, entry.topology, self._node))):
                return False
            status = entry.resource.status
            if claiming:
                claim = decode_claim(status)
                sandbox.epoch = max(sandbox.epoch, claim.epoch if owned else claim.next_epoch)
            wanted = self._compose(sandbox, entry)
            try:
                await self._put(sandbox, entry, wanted)
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

    def _tell_loss(self, sandbox: Sandbox) -> None:
        """Let the gate know of a pod whose Topology was deleted; who never had one is told nothing."""
        known = self._cache.synced.is_set() and self._table.is_current(sandbox)
        if self._gate is not None and known and sandbox.claimed and self._cache.entry(sandbox.pod_key) is None:
            self._gate.lose(sandbox)

    async def _put(self, sandbox: Sandbox, entry: Entry, wanted: Mapping[str, Any]) -> None:
        """Write a status, unless it says all that already, and tell of what newly fails in it."""
        status = entry.resource.status
        told = fitting(wanted, entry.resource)
        if not covers(status, told):
            await self._kept()
            try:
                await self._patch(entry, told)
            except StoreUnavailable:
                if self._table.is_current(sandbox):
                    self._untold.setdefault(sandbox, status)  # the store may have it without having said so
                raise
        self._herald.tell(str(entry.resource), failures(self._untold.pop(sandbox, status), wanted))

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
