"""The state of a link as seen from one of its ends, with the reason why it is not Up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver.told import one_line
from meshnet.model.session import Contact
from meshnet.reconcile.carrier import complete
from meshnet.reconcile.remote import FarEnd

if TYPE_CHECKING:
    from meshnet.reconcile.end import End

UP, DOWN, PENDING, FAILED = "Up", "Down", "Pending", "Failed"
_NOT_PATCHED = (PENDING, "PeerNotPatched", "the peer's end is not patched to this one yet")
_LONGEST_REASON = 100
"""Characters of what a peer's daemon gives for one; a store would refuse a status that is too long, with all in it."""


def link_state(end: End, peer: End | FarEnd | None) -> tuple[str, str, str]:
    """Return (state, reason, message) of a link as seen from one end; the reason is empty when it is Up."""
    reason, message = end.why_not
    if end.only_path_failed and isinstance(peer, FarEnd) and not peer.live:
        # What a driver sees of a daemon that is away, or of a node that is dead, is no more than that its path failed.
        return FAILED, *_far_state(peer)[1:]
    if reason:
        waiting = end.plan is not None and end.plan.waiting and end.plan.reason == reason
        # Of a peer on this node that has no interface this end says what it says of one elsewhere: that fails, not it.
        # It may have what users wrote in it, of whatever length: a store would refuse a status with that.
        return (PENDING if waiting or reason == _NOT_PATCHED[1] else FAILED), reason, one_line(message)
    assert end.plan is not None
    if not complete(end, peer):
        if end.plan.peer is None:
            return PENDING, "NotPatched", "its driver is making it"
        return _far_state(peer) if isinstance(peer, FarEnd) else _NOT_PATCHED
    if end.plan.down:
        return DOWN, "Unplugged", "the cable is unplugged (down: true)"
    known = end.applied.mac  # of an end whose checkpoint was lost it is not known what was applied
    refused = [cidr for cidr in end.plan.addresses if known and cidr not in end.applied.addresses]
    return UP, "", f"the pod takes no address {', '.join(refused)}" if refused else ""


def _far_state(far: FarEnd) -> tuple[str, str, str]:
    """Return what keeps a link to another node from being Up."""
    if far.contact is Contact.DEAD:
        return FAILED, "NodeLost", far.why or f"node {far.node}, which runs the peer, does not answer"
    if far.contact is Contact.INCOMPATIBLE:
        return FAILED, "PeerVersion", far.why
    if not far.live:
        lapsed = far.contact is Contact.LAPSED
        return FAILED if lapsed else PENDING, "PeerUnreachable", far.why or f"no session with node {far.node} yet"
    if far.told is not None and far.told.reason:
        said = one_line(far.told.reason, _LONGEST_REASON)
        return PENDING, "PeerNotPatched", f"the peer's end on node {far.node} says {said}"
    return _NOT_PATCHED
