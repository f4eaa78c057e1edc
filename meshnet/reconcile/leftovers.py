"""Leftovers: what drivers own on this node, matched with the links that need it.

A daemon that was killed forgot what its drivers made. What an end here is patched by is remembered again; what no end
needs goes.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from meshnet.driver.api import Interface, LinkEnd
from meshnet.driver.calls import TIMED_OUT, call
from meshnet.errors import LinkError
from meshnet.model import names
from meshnet.reconcile.patch import CALL_LIMIT_S
from meshnet.reconcile.rebuild import is_rebuilt

if TYPE_CHECKING:
    from meshnet.driver.api import LinkDriver, Owned
    from meshnet.driver.registry import Registry
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.keyed import KeyedWorkers
    from meshnet.reconcile.state import End
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)


class Leftovers:
    """Asks every driver what it owns."""

    def __init__(self, registry: Registry, table: Table, workers: KeyedWorkers[Endpoint]) -> None:
        self._registry = registry
        self._table = table
        self._workers = workers

    async def sort_out(self) -> None:
        """Remember what is needed and discard what is not. What fails is logged and stops nothing else."""
        await asyncio.gather(*(self._sort_all(entry.driver) for entry in self._registry.usable()))

    async def _sort_all(self, driver: LinkDriver) -> None:
        try:
            found = await call(driver, "inspect", limit_s=CALL_LIMIT_S)
        except LinkError as error:
            log.warning("driver %s: %s", driver.name, error)
            return
        for number, owned in enumerate(found, 1):
            try:
                await self._sort(driver, owned)
            except LinkError as error:
                log.warning("driver %s: %s: %s", driver.name, owned.what, error)
                if error.reason == TIMED_OUT:
                    log.warning("driver %s: it hangs: %d more can wait", driver.name, len(found) - number)
                    return

    async def _sort(self, driver: LinkDriver, owned: Owned) -> None:
        if owned.endpoint is None:
            await self._discard(driver, owned)
            return
        async with self._workers.hold(owned.endpoint):
            end = self._table.end(owned.endpoint)
            if end is not None and end.patched is None and end.adopted:
                remember(end, driver.name)
            elif (end is None or end.patched_by != driver.name) and not self._of_unknown(owned, owned.endpoint):
                await self._discard(driver, owned)

    def _of_unknown(self, owned: Owned, endpoint: Endpoint) -> bool:
        """Tell whether it is an interface in a pod that no checkpoint could be read of; it goes with the pod."""
        sandbox = self._table.current((endpoint.namespace, endpoint.pod))
        return isinstance(owned.splice, Interface) and (sandbox is None or is_rebuilt(sandbox))

    async def _discard(self, driver: LinkDriver, owned: Owned) -> None:
        log.info("driver %s: %s is not needed any more", driver.name, owned.what)
        await call(driver, "discard", owned, limit_s=CALL_LIMIT_S)


def remember(end: End, driver: str) -> None:
    """Note that a driver made something for an end, as far as the checkpoint tells what it was asked for."""
    applied = end.applied
    end.patched_by = driver
    end.patched = LinkEnd(
        local=end.endpoint,
        peer=None,
        parent=None,
        uid=applied.uid,
        mtu=applied.mtu,
        mac=applied.mac,
        options=None,
        down=False,
        alias=names.Mark.of(end.endpoint, applied.uid, end.sandbox.key.container_id).alias,
        port=end.port.facts() if end.port else None,
        pod=end.sandbox,
    )
