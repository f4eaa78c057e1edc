"""Turns of the event loop: nobody waits alone, and who is many waits in order."""

import asyncio

import pytest
from meshnet_grpcwire.turns import Turns


async def count_turns(seen):
    """Number the turns of the loop, from 0."""
    while True:
        seen.append(len(seen))
        await asyncio.sleep(0)


def run(work):
    async def main():
        seen = []
        counting = asyncio.ensure_future(count_turns(seen))
        await asyncio.sleep(0)
        try:
            return await asyncio.wait_for(work(seen), 10)
        finally:
            counting.cancel()

    return asyncio.run(main())


async def go(turns, name, seen, done, times=1):
    for _ in range(times):
        await turns.take()
        done.append((name, len(seen)))


def test_who_is_alone_goes_at_once():
    async def work(seen):
        turns, done = Turns(), []
        for _ in range(3):
            before = len(seen)
            await go(turns, "a", seen, done)
            assert done[-1] == ("a", before)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    run(work)


def test_a_second_go_in_the_same_turn_waits_for_the_next():
    async def work(seen):
        turns, done = Turns(), []
        await go(turns, "a", seen, done, times=3)
        assert len({turn for _, turn in done}) == 3

    run(work)


@pytest.mark.parametrize("many", [2, 64])
def test_many_go_one_a_turn_and_in_order(many):
    async def work(seen):
        turns, done = Turns(), []
        await asyncio.gather(*(go(turns, name, seen, done, times=3) for name in range(many)))
        # The first asks for its second turn before the others ask at all.
        assert [name for name, _ in done] == [0, *range(many), *range(many), *range(1, many)]
        assert len({turn for _, turn in done}) == 3 * many

    run(work)


def test_one_that_is_cancelled_takes_nobody_s_turn():
    async def work(seen):
        turns, done = Turns(), []
        tasks = [asyncio.ensure_future(go(turns, name, seen, done)) for name in range(4)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.wait(tasks)
        assert [name for name, _ in done] == [0, 3]
        await go(turns, "later", seen, done)

    run(work)


def test_one_that_is_cancelled_in_its_turn_stops_nobody():
    async def work(seen):
        turns, done = Turns(), []
        tasks = [asyncio.ensure_future(go(turns, name, seen, done)) for name in range(3)]
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(tasks[1].cancel)  # after the turn was given to it
        await asyncio.wait(tasks)
        assert [name for name, _ in done] == [0, 2]
        await go(turns, "later", seen, done)

    run(work)
