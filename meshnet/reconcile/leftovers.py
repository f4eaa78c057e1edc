"""Leftovers: what drivers own on this node, matched with the links that need it.

A daemon that was killed forgot what its drivers made. What an end here is patched by is remembered again; what no end
needs goes. A mark tells for which end a device was made and not by whom, so several drivers may tell of one.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from meshnet.driver.api import Device, Interface, LinkEnd, Port
from meshnet.driver.calls import TIMED_OUT, call
from meshnet.driver.told import one_line
from meshnet.errors import LinkError
from meshnet.model import names
from meshnet.reconcile.patch import CALL_LIMIT_S
from meshnet.reconcile.rebuild import is_rebuilt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.driver.api import LinkDriver, Owned, Splice
    from meshnet.driver.registry import Registry
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.end import End
    from meshnet.reconcile.keyed import KeyedWorkers
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)

Thing = tuple["Endpoint | None", "Splice"]


class _Round:
    """What drivers tell of in one round.

    Attributes:
        first: the driver that was the first to tell of a thing.
        told: what each has told of last.
        again: who was asked anew, for the sake of what another one told of.
        silent: who did not answer then.
        early: whether Topologies are not known yet.
    """

    def __init__(self, *, early: bool) -> None:
        self.first: dict[Thing, str] = {}
        self.told: dict[str, set[Thing]] = {}
        self.again: set[tuple[str, str]] = set()
        self.silent: set[str] = set()
        self.early = early


class Leftovers:
    """Asks every driver what it owns."""

    def __init__(self, registry: Registry, table: Table, workers: KeyedWorkers[Endpoint]) -> None:
        self._registry = registry
        self._table = table
        self._workers = workers

    async def sort_out(self, *, early: bool = False) -> None:
        """Remember what is needed and discard what is not. What fails is logged and stops nothing else.

        `early`: Topologies are not known yet, and tell of interfaces that no checkpoint lists.
        """
        this = _Round(early=early)
        await asyncio.gather(*(self._sort_all(entry.driver, this) for entry in self._registry.usable()))

    async def _sort_all(self, driver: LinkDriver, this: _Round) -> None:
        try:
            found = await self._inspect(driver, this)
        except LinkError as error:
            log.warning("driver %s: %s", driver.name, error)
            return
        for number, owned in enumerate(found, 1):
            try:
                await self._sort(driver, owned, this)
            except LinkError as error:
                log.warning("driver %s: %s: %s", driver.name, one_line(owned.what), error)
                if error.reason == TIMED_OUT:
                    log.warning("driver %s: it hangs: %d more can wait", driver.name, len(found) - number)
                    return

    async def _inspect(self, driver: LinkDriver, this: _Round) -> Sequence[Owned]:
        found: Sequence[Owned] = await call(driver, "inspect", limit_s=CALL_LIMIT_S)
        this.told[driver.name] = set(map(_thing, found))
        return found

    async def _sort(self, driver: LinkDriver, owned: Owned, this: _Round) -> None:
        if owned.endpoint is None:
            await self._discard(driver, owned)
            return
        async with self._workers.hold(owned.endpoint):
            end = self._table.end(owned.endpoint)
            shared = this.first.setdefault(_thing(owned), driver.name) != driver.name
            if end is not None and end.adopted and (end.patched is None or shared):
                _recall(end, driver.name, shared=shared)
            elif end is not None and await self._is_the_patchers(driver, owned, end, this):
                return
            elif not self._of_unknown(owned, owned.endpoint, this):
                await self._discard(driver, owned)

    async def _is_the_patchers(self, teller: LinkDriver, owned: Owned, end: End, this: _Round) -> bool:
        """Tell whether the driver that has patched an end counts as its own what it, or another one, tells of."""
        if end.patched_by == teller.name:
            return True
        entry = self._registry.find(end.patched_by)
        if entry is None or entry.unusable:
            return False
        pair = entry.name, teller.name
        if _thing(owned) not in this.told.get(entry.name, ()) and pair not in this.again:
            this.again.add(pair)
            try:
                await self._inspect(entry.driver, this)  # anew: it may have been made since, but not now
            except LinkError:
                this.silent.add(entry.name)
        # Of who does not answer it may be, for all that is known.
        return entry.name in this.silent or _thing(owned) in this.told.get(entry.name, ())

    def _in_use(self, owned: Owned) -> bool:
        """Tell whether an end has it for its patch, whichever driver made that: it is no leftover, whoever tells so."""
        return any(_has(end, owned) for end in self._table.ends())

    def _of_unknown(self, owned: Owned, endpoint: Endpoint, this: _Round) -> bool:
        """Tell whether it is an interface in a pod that no checkpoint lists, or that may have been made since.

        Where there is none it goes with the pod; else it is declared, or goes when that is known.
        """
        sandbox = self._table.current(endpoint.pod_key)
        late = this.early and self._table.end(endpoint) is None
        return isinstance(owned.splice, Interface) and (sandbox is None or is_rebuilt(sandbox) or late)

    async def _discard(self, driver: LinkDriver, owned: Owned) -> None:
        if self._in_use(owned):
            return
        log.info("driver %s: %s is not needed any more", driver.name, one_line(owned.what))
        await call(driver, "discard", owned, limit_s=CALL_LIMIT_S)


def _thing(owned: Owned) -> Thing:
    return owned.endpoint, owned.splice


def _recall(end: End, driver: str, *, shared: bool) -> None:
    """Note that a driver has patched an end. Of what several tell of nobody knows whose it is, until it is patched."""
    if not shared:
        remember(end, driver)
    elif not end.interface:  # else the checkpoint says whose it is
        end.patched, end.patched_by = None, ""


def _has(end: End, owned: Owned) -> bool:
    """Tell whether an end is patched to what a driver tells of, as far as is known or its port's filter says."""
    splice, endpoint = owned.splice, owned.endpoint
    if isinstance(splice, Interface):
        # A number of its pod's, and each pod has numbers of its own.
        same_pod = endpoint is None or endpoint.pod_key == end.sandbox.pod_key
        return same_pod and end.interface == splice.ifindex
    redirect = end.port.redirect if end.port else None
    if isinstance(splice, Device) and redirect is not None and redirect.ifindex == splice.ifindex:
        return True
    return isinstance(splice, Device | Port) and end.splice == splice


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
