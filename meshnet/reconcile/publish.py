"""Publishing status: at once at ADD and DEL; between them rarely, however much happens.

Between ADD and DEL there is one write when all links are up, or 5 s after the first change that is not yet written, and
never two of those within 5 s. Status is for people and for finding the peer, not for signalling.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import InvalidObject, StoreError

if TYPE_CHECKING:
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.table import Table
    from meshnet.reconcile.writer import StatusWriter

log = logging.getLogger(__name__)

PAUSE_S = 5.0
TOGETHER_S = 0.05


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
    """Has the status of this node's pods written when it is time."""

    def __init__(self, writer: StatusWriter, table: Table) -> None:
        self._writer = writer
        self._table = table
        self._pending: dict[Sandbox, _Pending] = {}
        self._last: dict[Sandbox, float] = {}

    async def claim(self, sandbox: Sandbox, *, over: bool = True) -> bool:
        """Claim the pod for a sandbox: epoch + 1, in one write.

        False when its Topology is gone, and, unless `over` the claim of another, when that came first.

        Raises StoreUnavailable, Conflict, InvalidObject.
        """
        claimed = await self._writer.claim(sandbox, over=over)
        if claimed and not self._table.is_current(sandbox):
            await self.clear(sandbox)  # it was removed while the claim was on its way
        elif claimed:
            self.changed(sandbox)  # what came while it was on its way could not be written
        return claimed

    async def clear(self, sandbox: Sandbox) -> None:
        """Clear node and sandbox from the Topology, if still this sandbox's. Raises StoreUnavailable, InvalidObject."""
        self.forget(sandbox)
        await self._writer.clear(sandbox)

    async def clear_absent(self) -> None:
        """Clear every status that says its pod runs here while it does not. Raises StoreError."""
        await self._writer.clear_absent()

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
        due = earliest if self._writer.all_up(sandbox) else max(earliest, pending.first_change + PAUSE_S)
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
        await self._writer.told()

    def close(self) -> None:
        for sandbox in list(self._pending):
            self.forget(sandbox)
        self._writer.close()

    def forget(self, sandbox: Sandbox) -> None:
        """Drop what is due for a sandbox, which is gone or has lost its pod."""
        self._writer.forget(sandbox)
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
            stands = await self._writer.write(sandbox)
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
