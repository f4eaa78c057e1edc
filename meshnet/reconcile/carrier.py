"""Carrier tells the truth: an interface has it exactly when the patch is complete and the peer's interface is up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver.api import Port
from meshnet.panel.splice import unless_gone
from meshnet.reconcile.state import Joint

if TYPE_CHECKING:
    from meshnet.panel.splice import Splicer
    from meshnet.reconcile.state import End
    from meshnet.reconcile.table import Table


def complete(end: End, peer: End | None) -> bool:
    """Tell whether both sides are patched to each other as they are now, and nothing is wrong with either."""
    if end.plan is None or end.why_not != ("", "") or end.joint is None:
        return False
    if end.plan.peer is None:
        return True
    return peer is not None and _sound(peer) and reaches(end, peer) and reaches(peer, end)


def _sound(peer: End) -> bool:
    """Tell whether nothing is known to be wrong with a peer; one that was adopted is as it was until it is settled."""
    return peer.adopted or peer.why_not == ("", "")


def reaches(end: End, peer: End) -> bool:
    """Tell whether an end is patched to its peer as that is now: this sandbox, and this port, not one before it."""
    if end.joint != Joint(peer.endpoint, peer.sandbox.epoch):
        return False
    if not isinstance(end.splice, Port):
        return True
    return peer.port is not None and peer.port.ifindex == end.splice.ifindex


def carrier(end: End, peer: End | None) -> bool:
    """Tell whether the pod's interface of `end` shall have carrier. `peer` is its peer on this node, if any."""
    if end.adopted:
        # Until Topologies are read, carrier can be lost with the peer's, never gained.
        return end.port is not None and end.port.up and (peer is None or peer.pod_up)
    plan = end.plan
    if plan is None or plan.down or not complete(end, peer):
        return False
    return peer.pod_up if peer is not None else plan.peer is None


class CarrierKeeper:
    """Gives and takes the carrier of ports, at every change of either end."""

    def __init__(self, table: Table, splicer: Splicer) -> None:
        self._table = table
        self._splicer = splicer

    def update(self, end: End) -> None:
        """Set the carrier of an end and of its peer on this node. Raises KernelError."""
        peer = self.peer(end)
        self._set(end, peer)
        if peer is not None:
            # Not always this end: anybody's Topology may name an interface that is linked elsewhere.
            self._set(peer, self.peer(peer))

    def peer(self, end: End) -> End | None:
        """Return the other end, if it is on this node."""
        if end.plan is not None and end.plan.peer is not None:
            return self._table.end(end.plan.peer)
        return self._table.end(end.joint.peer) if end.joint else None

    def _set(self, end: End, peer: End | None) -> None:
        if end.port is not None:
            with unless_gone():
                self._splicer.set_up(end.port, up=carrier(end, peer))
