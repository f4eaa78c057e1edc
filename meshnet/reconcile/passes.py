"""Passes: looking at everything from time to time, so that nothing depends on having heard an event."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Protocol

from meshnet.errors import MeshnetError, StoreError

if TYPE_CHECKING:
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.align import Aligner
    from meshnet.reconcile.inspect import Inspector
    from meshnet.reconcile.keyed import KeyedWorkers
    from meshnet.reconcile.leftovers import Leftovers
    from meshnet.reconcile.publish import Publisher
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.sandboxes import Sandboxes
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)

ALIVE_S = 5.0
CHUNK = 16
"""So many ends are looked at between two breaths."""
BREATH_S = 0.005
"""A breath: events and calls are served."""


class Pulse(Protocol):
    """What tells others that the daemon is alive."""

    def touch(self) -> None: ...


class Passes:
    """The daemon's heartbeat, its look for sandboxes that died without a DEL, and its full pass."""

    def __init__(
        self,
        *,
        table: Table,
        sandboxes: Sandboxes,
        aligner: Aligner,
        workers: KeyedWorkers[Endpoint],
        inspector: Inspector,
        publisher: Publisher,
        leftovers: Leftovers,
        alive: Pulse,
        pass_s: float,
    ) -> None:
        self._table = table
        self._sandboxes = sandboxes
        self._aligner = aligner
        self._workers = workers
        self._inspector = inspector
        self._publisher = publisher
        self._leftovers = leftovers
        self._alive = alive
        self._pass_s = pass_s
        self._removing: dict[Sandbox, asyncio.Task[None]] = {}
        self._wanted = asyncio.Event()

    async def beat(self) -> None:
        """Tell that the daemon is alive, and look for sandboxes that are not, for ever.

        Apart from the passes: those call drivers, and one that hangs must not make its node look dead.
        """
        while True:
            self._alive.touch()
            self.look_for_vanished()
            await asyncio.sleep(ALIVE_S)

    async def run(self) -> None:
        """Look at everything from time to time, for ever."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(last + self._pass_s):
                    await self._wanted.wait()
            self._wanted.clear()
            last = loop.time()
            self.look_for_vanished()
            await self._full_pass()

    def full_pass_soon(self) -> None:
        """Look at everything as soon as possible."""
        self._wanted.set()

    def look_for_vanished(self) -> None:
        """Clean up after every sandbox whose namespace is gone."""
        for sandbox in list(self._table.sandboxes.values()):
            if sandbox.handed is None and self._inspector.ended(sandbox):
                self.vanished(sandbox)

    def vanished(self, sandbox: Sandbox) -> None:
        """Clean up after a sandbox whose namespace is gone."""
        if sandbox in self._removing or sandbox.handed is not None:
            return
        task = asyncio.get_running_loop().create_task(self._remove(sandbox), name=f"remove {sandbox.pod_key}")
        self._removing[sandbox] = task
        task.add_done_callback(lambda _: self._removing.pop(sandbox, None))

    async def close(self) -> None:
        """Cancel what is being cleaned up: the next daemon finds it."""
        removing = list(self._removing.values())
        for task in removing:
            task.cancel()
        await asyncio.gather(*removing, return_exceptions=True)

    async def _remove(self, sandbox: Sandbox) -> None:
        try:
            if self._table.has(sandbox):
                await self._sandboxes.remove(sandbox, why="its namespace is gone")
        except MeshnetError as error:
            log.error("%s/%s: %s", sandbox.namespace, sandbox.pod, error)

    async def _full_pass(self) -> None:
        """Read every port anew, settle every end, and compare every status with what is."""
        for position, end in enumerate(self._table.ends()):
            if position % CHUNK == 0:
                await asyncio.sleep(BREATH_S)
            if self._table.end(end.endpoint) is end:
                self._inspector.look_again(end)
            self._workers.kick(end.endpoint)
        for sandbox in list(self._table.sandboxes.values()):
            self._publisher.changed(sandbox)
        self._aligner.look_at_all()
        await self._leftovers.sort_out()
        try:
            await self._publisher.clear_absent()
        except StoreError as error:
            log.warning("status of pods that run no more not cleared yet: %s", error)
