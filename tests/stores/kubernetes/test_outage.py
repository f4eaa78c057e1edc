from __future__ import annotations

import itertools

from meshnet.stores.kubernetes.outage import FIRST_DELAY_S, LONGEST_DELAY_S, PATIENCE_S, Outage


def test_delays_double_up_to_a_bound_and_end() -> None:
    outage, now, delays = Outage(), 1000.0, []
    for _ in itertools.count():
        delay = outage.next_delay(now)
        if delay is None:
            break
        delays.append(delay)
        now += delay
    assert PATIENCE_S < now - 1000 < PATIENCE_S + LONGEST_DELAY_S
    most = [min(LONGEST_DELAY_S, FIRST_DELAY_S * 2**index) for index in range(len(delays))]
    assert all(limit / 2 <= delay <= limit for delay, limit in zip(delays, most, strict=True))


def test_two_daemons_do_not_come_back_as_one() -> None:
    assert len({Outage().next_delay(0.0) for _ in range(10)}) == 10


def test_once_it_is_over_the_next_delay_is_a_first_one() -> None:
    outage = Outage()
    for now in (0.0, 1.0, 2.0, 3.0):
        outage.next_delay(now)
    outage.over()
    delay = outage.next_delay(PATIENCE_S + 3)
    assert delay is not None
    assert delay <= FIRST_DELAY_S
