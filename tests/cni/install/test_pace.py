"""A list that somebody else undoes is written ever more seldom."""

from __future__ import annotations

from meshnet.cni.install.pace import FREE, LONGEST_S, WINDOW_S, Pace


def test_the_first_writes_wait_for_nothing():
    pace = Pace()
    for now in range(FREE):
        assert pace.wait_s(now) == 0
        pace.wrote(now)

    assert pace.wait_s(FREE) == 0
    assert not pace.contested(FREE)


def test_more_of_them_come_ever_more_seldom_and_never_end():
    pace, now, waits = Pace(), 1000.0, []
    for _ in range(20):
        pace.wrote(now)
        waits.append(pace.wait_s(now))
        now += waits[-1]

    assert waits[:8] == [0, 0, 0, 1, 2, 4, 8, 16]
    assert max(waits) <= LONGEST_S
    assert sum(waits[-10:]) >= 10 * 10
    assert pace.contested(now)


def test_what_is_long_ago_is_forgotten():
    pace = Pace()
    for _ in range(10):
        pace.wrote(1000.0)

    assert pace.wait_s(1001.0) > 0
    assert pace.wait_s(1000.0 + WINDOW_S + 1) == 0
