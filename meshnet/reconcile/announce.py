"""Announcing: other nodes are told at once how the ends are whose links lead there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from meshnet.model.session import Contact, EndState

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.end import End
    from meshnet.reconcile.remote import FarEnd
    from meshnet.reconcile.table import Table


class Audience(Protocol):
    """Who tells the other nodes."""

    def announce(self, node: str, endpoint: Endpoint, state: EndState | None) -> None:
        """Tell a node how an end is; None: it is none, or does not lead there any more."""

    def want(self, nodes: frozenset[str]) -> None:
        """Be in touch with exactly these nodes."""


class Announcer:
    """Compares what was told last with how an end is now. Until there is an audience nothing is told.

    Args:
        table: of the ends here.
        led: called with the nodes that links lead to, whenever those are others.
        far: gives the other end of a link that leads away.
    """

    def __init__(
        self, table: Table, led: Callable[[frozenset[str]], None], far: Callable[[End], FarEnd | None]
    ) -> None:
        self._table = table
        self._led = led
        self._far = far
        self._audience: Audience | None = None
        self._told: dict[Endpoint, tuple[str, EndState]] = {}
        self._nodes: frozenset[str] = frozenset()
        self._turn: asyncio.Handle | None = None

    def begin(self, audience: Audience) -> None:
        """Tell this one from now on: first of all who is wanted."""
        self._audience = audience
        audience.want(self._nodes)

    def states_for(self, node: str) -> dict[Endpoint, EndState]:
        """Return every end whose link leads to a node."""
        return {endpoint: state for endpoint, (where, state) in self._told.items() if where == node}

    def look(self, end: End) -> None:
        """See whether an end is still as it was told."""
        plan = end.plan
        if plan is None or not plan.leads_away(self._table.node):
            self.gone(end.endpoint)
            return
        node, state = plan.node, state_of(end, self._far(end))
        before = self._told.get(end.endpoint)
        if before == (node, state):
            return
        if before is not None and before[0] != node:
            self.gone(end.endpoint)
        self._told[end.endpoint] = (node, state)
        if before is None or before[0] != node:
            self._count_soon()
        if self._audience is not None:
            self._audience.announce(node, end.endpoint, state)

    def gone(self, endpoint: Endpoint) -> None:
        """Tell that there is no such end any more, if anybody was told of it."""
        told = self._told.pop(endpoint, None)
        if told is None:
            return
        self._count_soon()
        if self._audience is not None:
            self._audience.announce(told[0], endpoint, None)

    def _count_soon(self) -> None:
        """See once for all that changes in this turn of the loop which nodes links lead to."""
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self._count)

    def _count(self) -> None:
        self._turn = None
        nodes = frozenset(node for node, _ in self._told.values())
        if nodes == self._nodes:
            return
        self._nodes = nodes
        self._led(nodes)
        if self._audience is not None:
            self._audience.want(nodes)


def state_of(end: End, far: FarEnd | None) -> EndState:
    """Return what the peer's daemon is told of an end.

    A node that is dead to this one may still hear it, where one direction is filtered: there carrier shall go, too.
    """
    joint = end.joint
    lost = "NodeLost" if far is not None and far.contact is Contact.DEAD else ""
    return EndState(
        epoch=end.sandbox.epoch,
        driver=end.patched_by if joint else "",
        patched=joint.peer if joint else None,
        patched_epoch=joint.epoch if joint else 0,
        up=end.pod_up,
        reason=end.fault[0] or lost,
        receive_id=end.receive_id,
        offer=end.offer,
    )
