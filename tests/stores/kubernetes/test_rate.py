from __future__ import annotations

import asyncio

import pytest

from meshnet.stores.kubernetes.rate import RateLimit
from tests import virtual_time


async def times(limit: RateLimit, *urgent: bool) -> list[float]:
    """When each of several requests that come at once has its turn, in seconds from now."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(which: bool) -> float:
        await limit.turn(urgent=which)
        return round(loop.time() - began, 3)

    return list(await asyncio.gather(*(one(which) for which in urgent)))


def test_a_burst_passes_at_once_and_the_rest_at_the_rate() -> None:
    async def run() -> None:
        limit = RateLimit(rate=10, burst=3, reserve=0)
        assert await times(limit, *[False] * 5) == pytest.approx([0, 0, 0, 0.1, 0.2], abs=0.01)
        await asyncio.sleep(60)
        assert await times(limit, *[False] * 4) == pytest.approx([0, 0, 0, 0.1], abs=0.01)

    virtual_time.run(run())


def test_urgent_ones_go_before_those_that_came_sooner() -> None:
    async def run() -> None:
        limit = RateLimit(rate=10, burst=1, reserve=0)
        assert await times(limit, False, False, False, True, True) == pytest.approx([0, 0.3, 0.4, 0.1, 0.2], abs=0.01)

    virtual_time.run(run())


def test_the_others_leave_a_reserve() -> None:
    async def run() -> None:
        limit = RateLimit(rate=10, burst=5, reserve=2)
        assert await times(limit, *[False] * 4) == pytest.approx([0, 0, 0, 0.1], abs=0.01)
        assert await times(limit, True, True) == pytest.approx([0, 0], abs=0.01)

    virtual_time.run(run())


def test_who_gives_up_takes_nothing() -> None:
    async def run() -> None:
        limit = RateLimit(rate=10, burst=1, reserve=0)
        await limit.turn(urgent=True)
        waiting = [asyncio.create_task(limit.turn(urgent=True)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0.1)  # the turn is the second's, who is cancelled before he knows
        waiting[1].cancel()
        await asyncio.gather(*waiting[:2], return_exceptions=True)
        began = asyncio.get_running_loop().time()
        await waiting[2]
        assert asyncio.get_running_loop().time() - began < 0.11

    virtual_time.run(run())
