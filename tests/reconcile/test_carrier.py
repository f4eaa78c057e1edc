"""The truth table of carrier."""

from __future__ import annotations

import itertools

import pytest

from meshnet.reconcile.carrier import carrier, complete
from meshnet.reconcile.end import Joint
from meshnet.reconcile.linkstate import link_state
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, enter, join, replan, sandbox
from tests.reconcile.parts import keeper


def couple():
    one, other = sandbox("r1"), sandbox("r2")
    pair = end(one, "eth1", "r2:eth1", ifindex=1), end(other, "eth1", "r1:eth1", ifindex=2)
    join(*pair)
    return pair


@pytest.mark.parametrize("holds", list(itertools.product((False, True), repeat=4)), ids=str)
def test_carrier_needs_both_patches_and_the_peers_interface_up_and_no_down(holds):
    mine_patched, peer_patched, peer_up, not_down = holds
    one, other = couple()
    if not mine_patched:
        one.joint = None
    if not peer_patched:
        other.joint = None
    other.pod_up = peer_up
    for each in (one, other):
        replan(each, down=not not_down)

    assert carrier(one, other) is all(holds)
    assert complete(one, other) is (mine_patched and peer_patched)


@pytest.mark.parametrize("own_up", [False, True])
def test_an_ends_own_interface_does_not_matter_to_its_carrier(own_up):
    one, other = couple()
    one.pod_up = own_up

    assert carrier(one, other)
    assert carrier(other, one) is own_up


@pytest.mark.parametrize(
    "break_it",
    [
        lambda one, other: setattr(one, "joint", Joint(other.endpoint, other.sandbox.epoch + 1)),
        lambda one, other: setattr(other, "joint", Joint(one.endpoint, one.sandbox.epoch - 1)),
        lambda one, other: setattr(other, "joint", Joint(other.endpoint, one.sandbox.epoch)),
        lambda one, other: setattr(one, "plan", None),
        lambda one, other: one.fail("KernelRefused", "no"),
        lambda one, other: setattr(one, "path_reason", "PathLost"),
        lambda one, other: replan(one, reason="PeerMismatch"),
        lambda one, other: setattr(other.port, "ifindex", 99),
        lambda one, other: setattr(other, "port", None),
    ],
    ids=["epoch", "old epoch", "another", "no plan", "failed", "path", "reason", "new port", "no port"],
)
def test_what_is_not_as_it_should_be_has_no_carrier(break_it):
    one, other = couple()
    break_it(one, other)

    assert not carrier(one, other)
    assert link_state(one, other)[0] != "Up"


def test_what_an_interface_has_not_got_of_its_spec_costs_neither_end_its_carrier():
    one, other = couple()
    one.outstanding = "until the pod is restarted its interface has MTU 1500 instead of 1400"

    assert carrier(one, other)
    assert carrier(other, one)
    assert link_state(one, other) == ("Failed", "RestartPod", one.outstanding)
    assert link_state(other, one)[0] == "Up"


def test_without_a_peer_there_is_no_carrier():
    one, _ = couple()
    assert not carrier(one, None)


def test_an_external_link_needs_its_own_patch_alone():
    one, _ = couple()
    replan(one, peer=None)
    one.joint = None
    assert not carrier(one, None)
    one.joint = Joint(None, 0)
    assert carrier(one, None)
    replan(one, down=True)
    assert not carrier(one, None)


@pytest.mark.parametrize("was_up", [False, True])
@pytest.mark.parametrize("peer_up", [False, True, None])
def test_an_adopted_end_may_lose_carrier_but_never_gains_it(was_up, peer_up):
    """Before Topologies are read nobody knows what should be; what forwards goes on."""
    one, other = couple()
    one.adopted, one.plan, one.joint = True, None, None
    one.port.up = was_up
    peer = None if peer_up is None else other
    if peer is not None:
        peer.pod_up = peer_up

    assert carrier(one, peer) is (was_up and peer_up is not False)


def test_an_adopted_end_without_a_port_has_none():
    one, other = couple()
    one.adopted, one.port = True, None
    assert not carrier(one, other)


def test_who_names_an_interface_that_is_linked_elsewhere_does_not_take_its_carrier():
    table = Table()
    one, other = couple()
    third = end(sandbox("r3"), "eth1", "r1:eth1", ifindex=3, reason="PeerMismatch")
    enter(table, one.sandbox, other.sandbox, third.sandbox)
    keeps = keeper(table)
    keeps.update(one)

    keeps.update(third)

    assert [each.port.up for each in (one, other, third)] == [True, True, False]
