"""The other nodes' side of links: what their daemons told of it, and how they are reached."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

import attrs

from meshnet.model.session import Contact, EndState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.end import End
    from meshnet.reconcile.table import Table


@attrs.frozen
class FarEnd:
    """The other end of a link, when that is on another node.

    Attributes:
        contact: how its daemon is reached.
        why: in words, when that is not as it should be.
        told: what its daemon last told of it, None when nothing.
    """

    endpoint: Endpoint
    node: str
    contact: Contact
    why: str
    told: EndState | None

    @property
    def live(self) -> bool:
        return self.contact is Contact.LIVE

    def is_patched_to(self, end: End, driver: str) -> bool:
        """Tell whether its daemon says that this driver has patched it to an end as that is now."""
        here = (driver, end.endpoint, end.sandbox.epoch)
        return self.told is not None and (self.told.driver, self.told.patched, self.told.patched_epoch) == here


class Remotes:
    """What was told of ends on other nodes; `changed` is called with each end here that it concerns.

    Args:
        changed: (end, whether its driver may have to be asked again).
    """

    def __init__(self, table: Table, changed: Callable[[End, bool], None]) -> None:
        self._table = table
        self._changed = changed
        self._nodes: frozenset[str] = frozenset()
        self._told: defaultdict[str, dict[Endpoint, EndState]] = defaultdict(dict)
        self._contacts: dict[str, tuple[Contact, str]] = {}
        self._waiting: defaultdict[Endpoint, set[asyncio.Future[None]]] = defaultdict(set)

    def far(self, end: End) -> FarEnd | None:
        """Return the other end of a link that leads to another node; None for every other."""
        plan = end.plan
        if plan is None or plan.peer is None or not plan.leads_away(self._table.node):
            return None
        contact, why = self._contacts.get(plan.node, (Contact.SEEKING, ""))
        return FarEnd(plan.peer, plan.node, contact, why, self._told.get(plan.node, {}).get(plan.peer))

    def lead_to(self, nodes: frozenset[str]) -> None:
        """Listen to exactly these nodes, which links lead to; what others told is forgotten: it will not hold later."""
        for node in self._nodes - nodes:
            self._contacts.pop(node, None)
            self._told.pop(node, None)
        self._nodes = nodes

    def heard(self, node: str, states: Mapping[Endpoint, EndState | None], *, whole: bool) -> None:
        """Take in what a node's daemon tells; `whole`: of ends that it does not tell of there are none."""
        if node not in self._nodes:
            return  # on its way when the session was ended
        told = self._told[node]
        news = dict(states)
        if whole:
            news |= dict.fromkeys(told.keys() - states.keys())
        for endpoint, state in news.items():
            before = told.get(endpoint)
            if state == before:
                continue
            if state is None:
                del told[endpoint]
            else:
                told[endpoint] = state
            self._tell(node, endpoint, before, state)

    def contact(self, node: str, contact: Contact, why: str) -> None:
        """Take note of how a node's daemon is reached."""
        if node not in self._nodes or self._contacts.get(node) == (contact, why):
            return
        self._contacts[node] = (contact, why)
        for end in self._table.ends():
            if end.plan is not None and end.plan.node == node:
                self._changed(end, False)

    async def patched(self, end: End, driver: str, *, limit_s: float) -> None:
        """Return when a driver has patched the other end to this one. Raises TimeoutError after `limit_s` seconds."""
        async with asyncio.timeout(limit_s):
            while (far := self.far(end)) is None or not far.is_patched_to(end, driver):
                future = asyncio.get_running_loop().create_future()
                self._waiting[end.endpoint].add(future)
                try:
                    await future
                finally:
                    self._waiting[end.endpoint].discard(future)
                    if not self._waiting[end.endpoint]:
                        del self._waiting[end.endpoint]

    def _tell(self, node: str, endpoint: Endpoint, before: EndState | None, state: EndState | None) -> None:
        again = state is not None and (before is None or _offered(before) != _offered(state))
        for local in self._table.facing(endpoint):
            end = self._table.end(local)
            if end is None or end.plan is None or (end.plan.node, end.plan.peer) != (node, endpoint):
                continue
            self._changed(end, again)
            for future in self._waiting.get(local, ()):
                if not future.done():
                    future.set_result(None)


def _offered(state: EndState) -> tuple[object, ...]:
    """Return what of a state a driver is told."""
    return state.epoch, state.receive_id, state.offer
