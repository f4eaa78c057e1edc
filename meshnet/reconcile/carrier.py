"""Carrier tells the truth: an interface has it exactly when the patch is complete and the peer's interface is up.

Of a peer on another node counts what its daemon tells. While that daemon does not answer but its node does, everything
is taken to be as it was: the kernel there forwards on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver.api import Port, Socket
from meshnet.model.session import Contact
from meshnet.reconcile.end import Joint
from meshnet.reconcile.remote import FarEnd

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.panel.port import PanelPort
    from meshnet.panel.splice import Splicer
    from meshnet.reconcile.end import End
    from meshnet.reconcile.remote import Remotes
    from meshnet.reconcile.table import Table


def complete(end: End, peer: End | FarEnd | None) -> bool:
    """Tell whether both sides are patched to each other as they are now, and nothing is wrong with either.

    What of its spec an interface has not got yet makes no cable less whole.
    """
    if end.plan is None or end.fault != ("", "") or end.joint is None:
        return False
    if end.plan.peer is None:
        return True
    if isinstance(peer, FarEnd):
        return _agreed(end, peer) if peer.live else _as_it_was(end, peer)
    return peer is not None and _sound(peer) and reaches(end, peer) and reaches(peer, end)


def _sound(peer: End) -> bool:
    """Tell whether nothing is known to be wrong with a peer; one that was adopted is as it was until it is settled."""
    return peer.adopted or peer.fault == ("", "")


def reaches(end: End, peer: End) -> bool:
    """Tell whether an end is patched to its peer as that is now: this sandbox, and this port, not one before it."""
    joint = end.joint
    if joint is None or joint.epoch != peer.sandbox.epoch or joint.peer != peer.endpoint:
        return False
    if not isinstance(end.splice, Port):
        return True
    return peer.port is not None and peer.port.ifindex == end.splice.ifindex


def _agreed(end: End, far: FarEnd) -> bool:
    """Tell whether what the other node told fits this end: each patched to the other's sandbox, by the same driver."""
    told = far.told
    if told is None or told.reason or not far.is_patched_to(end, end.patched_by):
        return False
    return end.joint == Joint(far.endpoint, told.epoch)


def _as_it_was(end: End, far: FarEnd) -> bool:
    """Tell whether an end keeps the carrier that it has while the other node's daemon does not answer."""
    if far.contact is Contact.DEAD or not end.confirmed or end.port is None or not end.port.up:
        return False
    if far.contact in (Contact.LAPSED, Contact.INCOMPATIBLE) and isinstance(end.splice, Socket):
        return False  # only that daemon forwards
    return far.told is None or _agreed(end, far)


def carrier(end: End, peer: End | FarEnd | None) -> bool:
    """Tell whether the pod's interface of `end` shall have carrier. `peer` is the other end, as far as it is known."""
    if end.adopted:
        # Until Topologies are read, carrier can be lost with the peer's, never gained.
        return end.port is not None and end.port.up and (peer is None or isinstance(peer, FarEnd) or peer.pod_up)
    plan = end.plan
    if plan is None or plan.down or not complete(end, peer):
        return False
    if isinstance(peer, FarEnd):
        return peer.told.up if peer.live and peer.told else True
    return peer is None or peer.pod_up


class CarrierKeeper:
    """Gives and takes the carrier of ports, at every change of either end.

    Args:
        looked: called with every end whose carrier was looked at: something of it may have changed.
    """

    def __init__(self, table: Table, remotes: Remotes, splicer: Splicer, looked: Callable[[End], None]) -> None:
        self._table = table
        self._remotes = remotes
        self._splicer = splicer
        self._looked = looked

    def update(self, end: End) -> bool:
        """Set the carrier of an end and of its peer on this node. Raises KernelError.

        Returns False when one must have been seen to be without it first: to be called again.
        """
        peer = self.peer(end)
        wanted = self._wanted(end, peer or self._remotes.far(end))
        if peer is not None:
            # Not always this end: anybody's Topology may name an interface that is linked elsewhere.
            wanted += self._wanted(peer, self.other(peer))
        done = self._splicer.set_all_up(wanted)
        self._looked(end)
        return done

    def lapse(self) -> None:
        """Take the carrier of adopted ends that only a daemon can forward for, since this one is not told where to.

        Raises KernelError.
        """
        ports = [end.port for end in self._table.ends() if end.port is not None and end.adopted]
        self._splicer.set_all_up([(port, False) for port in ports if port.redirect is None])

    def other(self, end: End) -> End | FarEnd | None:
        """Return the other end, wherever it is."""
        return self._remotes.far(end) or self.peer(end)

    def peer(self, end: End) -> End | None:
        """Return the other end, if it is on this node."""
        plan = end.plan
        if plan is not None and plan.peer is not None:
            return None if plan.leads_away(self._table.node) else self._table.end(plan.peer)
        return self._table.end(end.joint.peer) if end.joint else None

    def _wanted(self, end: End, peer: End | FarEnd | None) -> list[tuple[PanelPort, bool]]:
        """Return an end's port with the carrier that it shall have, nothing for one without; note what is confirmed."""
        if isinstance(peer, FarEnd) and peer.live and complete(end, peer):
            end.confirmed = True
        return [] if end.port is None else [(end.port, carrier(end, peer))]
