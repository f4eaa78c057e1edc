"""How contact goes with time and with what answers."""

from __future__ import annotations

import pytest

from meshnet.model.session import Contact
from meshnet.peers.contact import Liveness, ObservedClock


@pytest.fixture
def liveness():
    return Liveness(timeout_s=3, grace_s=10)


def let_pass(liveness, seconds):
    for _ in range(round(seconds * 10)):
        liveness.passes(0.1)


def test_a_node_that_speaks_is_live(liveness):
    assert liveness.contact is Contact.SEEKING
    for _ in range(20):
        liveness.heard()
        let_pass(liveness, 1)
        assert liveness.contact is Contact.LIVE


def test_a_node_that_answers_without_its_daemon_is_away_then_lapsed(liveness):
    liveness.heard()
    for _ in range(9):
        liveness.answered()
        let_pass(liveness, 1)
        assert liveness.contact is Contact.AWAY
    let_pass(liveness, 1.2)
    assert liveness.contact is Contact.LAPSED
    liveness.answered()
    assert liveness.contact is Contact.LAPSED


def test_a_node_that_does_not_answer_is_dead(liveness):
    liveness.heard()
    let_pass(liveness, 2.8)
    assert liveness.contact is Contact.LIVE
    let_pass(liveness, 0.4)
    assert liveness.contact is Contact.DEAD


def test_a_node_that_stops_answering_while_its_daemon_is_away_is_dead(liveness):
    liveness.heard()
    liveness.answered()
    let_pass(liveness, 3.2)
    assert liveness.contact is Contact.DEAD


def test_a_node_that_takes_connections_is_not_dead(liveness):
    liveness.heard()
    for _ in range(10):
        let_pass(liveness, 1)
        liveness.reached()
    assert liveness.contact is Contact.LIVE


def test_a_dead_node_is_live_only_when_its_daemon_is_heard(liveness):
    liveness.heard()
    let_pass(liveness, 4)
    liveness.answered()
    assert liveness.contact is Contact.DEAD
    liveness.heard()
    assert liveness.contact is Contact.LIVE


def test_a_daemon_of_another_protocol_was_heard_however_its_node_was_before(liveness):
    for seconds in (0, 4):
        let_pass(liveness, seconds)
        liveness.incompatible()
        liveness.answered()
        assert liveness.contact is Contact.INCOMPATIBLE
    liveness.refused()
    assert liveness.contact is Contact.AWAY


def test_a_node_whose_daemon_spoke_another_protocol_can_be_dead(liveness):
    liveness.incompatible()
    let_pass(liveness, 4)
    liveness.refused()
    assert liveness.contact is Contact.DEAD


@pytest.mark.parametrize("known", [Contact.SEEKING, Contact.LIVE, Contact.AWAY])
def test_what_was_known_goes_on_while_this_node_cannot_ask(liveness, known):
    if known is not Contact.SEEKING:
        liveness.heard()
    if known is Contact.AWAY:
        liveness.answered()
    let_pass(liveness, 1)
    liveness.unasked()
    let_pass(liveness, 60)
    assert liveness.contact is known
    liveness.silent()
    let_pass(liveness, 1.8)
    assert liveness.contact is known
    let_pass(liveness, 0.4)
    assert liveness.contact is Contact.DEAD


def test_each_time_away_has_a_grace_of_its_own(liveness):
    for _ in range(3):
        liveness.heard()
        for _ in range(8):
            liveness.answered()
            let_pass(liveness, 1)
        assert liveness.contact is Contact.AWAY


def test_what_was_never_heard_is_away_or_dead_too(liveness):
    liveness.answered()
    assert liveness.contact is Contact.AWAY
    other = Liveness(timeout_s=3, grace_s=10)
    let_pass(other, 3.2)
    assert other.contact is Contact.DEAD


def test_time_that_nobody_saw_does_not_count():
    clock = ObservedClock(0.2, 100.0)
    assert clock.look(100.1) == pytest.approx(0.1)
    assert clock.look(107.0) == 0.2
    assert clock.look(107.1) == pytest.approx(0.1)
    assert clock.look(50.0) == 0
