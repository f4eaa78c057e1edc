"""How long to wait before what has failed is tried again."""

from __future__ import annotations

import itertools

from meshnet.backoff import doubling, spread


def test_delays_double_up_to_the_longest_and_stay_there() -> None:
    assert list(itertools.islice(doubling(0.5, 3.0), 5)) == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_those_that_failed_together_do_not_come_back_as_one() -> None:
    delays = [spread(8.0) for _ in range(50)]
    assert len(set(delays)) == 50
    assert all(4.0 <= delay <= 8.0 for delay in delays)
