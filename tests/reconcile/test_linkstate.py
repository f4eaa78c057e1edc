"""The state of a link whose two ends are on this node."""

from __future__ import annotations

import pytest

from meshnet.reconcile.linkstate import link_state
from tests.reconcile.made import end, join, replan, sandbox


@pytest.mark.parametrize(
    ("change", "state", "reason"),
    [
        (lambda one, other: None, "Up", ""),
        (lambda one, other: setattr(one, "plan", None), "Failed", "TopologyMissing"),
        (lambda one, other: setattr(other, "joint", None), "Pending", "PeerNotPatched"),
        (lambda one, other: one.fail("NameTaken", "taken"), "Failed", "NameTaken"),
        (lambda one, other: setattr(one, "path_reason", "PathLost"), "Failed", "PathLost"),
        (lambda one, other: replan(one, down=True), "Down", "Unplugged"),
        (lambda one, other: replan(one, reason="PeerMissing", waiting=True), "Pending", "PeerMissing"),
        (lambda one, other: replan(one, reason="PeerMismatch"), "Failed", "PeerMismatch"),
        (lambda one, other: taken_while(one, "PeerMissing", waiting=True), "Failed", "NameTaken"),
        (lambda one, other: taken_while(one, "PeerMismatch"), "Failed", "PeerMismatch"),
    ],
)
def test_states_of_a_link(change, state, reason):
    one = end(sandbox("r1", epoch=4), "eth1", "r2:eth1", ifindex=1)
    other = end(sandbox("r2"), "eth1", "r1:eth1", ifindex=11)
    join(one, other)
    change(one, other)

    assert link_state(one, other)[:2] == (state, reason)


def taken_while(end, reason, **plan):
    replan(end, reason=reason, **plan)
    end.fail("NameTaken", "taken")
