"""One worker a key, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING

from meshnet.reconcile.keyed import FIRST_RETRY_S, LONGEST_RETRY_S, KeyedWorkers
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


MOMENT_S = FIRST_RETRY_S / 10
"""Longer than work that takes no time, shorter than any delay."""


class Work:
    """Counts what is done, and that no key is worked on twice at once."""

    def __init__(self, *, lasts_s: float = 1.0, content: bool = True) -> None:
        self.lasts_s = lasts_s
        self.content = content
        self.error: Exception | None = None
        self.done: list[tuple[str, float]] = []
        self.inside: list[str] = []
        self.most = 0

    async def __call__(self, key: str) -> bool:
        assert key not in self.inside
        self.inside.append(key)
        self.most = max(self.most, len(self.inside))
        try:
            await asyncio.sleep(self.lasts_s)
        finally:
            self.inside.remove(key)
        self.done.append((key, asyncio.get_running_loop().time()))
        if self.error is not None:
            raise self.error
        return self.content


@contextlib.asynccontextmanager
async def working(work: Work) -> AsyncIterator[KeyedWorkers[str]]:
    workers = KeyedWorkers(work)
    yield workers
    await workers.close()


def test_keys_are_worked_on_side_by_side() -> None:
    work = Work()

    async def main() -> None:
        async with working(work) as workers:
            workers.kick_all("abc")
            await asyncio.sleep(10)

    run(main())
    assert sorted(key for key, _ in work.done) == ["a", "b", "c"]
    assert work.most == 3


def test_kicks_coalesce_and_the_last_one_counts() -> None:
    work = Work()

    async def main() -> None:
        async with working(work) as workers:
            for _ in range(5):
                workers.kick("a")
            await asyncio.sleep(0.5)
            for _ in range(5):
                workers.kick("a")
            await asyncio.sleep(10)

    run(main())
    assert [key for key, _ in work.done] == ["a", "a"]


def test_what_is_not_content_is_tried_again_later_and_later() -> None:
    work = Work(lasts_s=0, content=False)

    async def main() -> None:
        async with working(work) as workers:
            workers.kick("a")
            await asyncio.sleep(200)

    run(main())
    times = [time for _, time in work.done]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert [round(pause / FIRST_RETRY_S) for pause in pauses[:8]] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert {round(pause, 6) for pause in pauses[8:]} == {LONGEST_RETRY_S}


def test_an_exception_is_tried_again_like_discontent() -> None:
    work = Work(lasts_s=0)
    work.error = RuntimeError("on purpose")

    async def main() -> None:
        async with working(work) as workers:
            workers.kick("a")
            await asyncio.sleep(FIRST_RETRY_S * 3.5)
            work.error = None
            await asyncio.sleep(60)

    run(main())
    assert len(work.done) == 4


def test_content_forgets_the_delays() -> None:
    work = Work(lasts_s=0, content=False)

    async def main() -> float:
        async with working(work) as workers:
            workers.kick("a")
            await asyncio.sleep(20)
            work.content = True
            workers.kick("a")
            await asyncio.sleep(MOMENT_S)
            work.content = False
            workers.kick("a")
            await asyncio.sleep(MOMENT_S)
            failed = work.done[-1][1]
            work.done.clear()
            await asyncio.sleep(FIRST_RETRY_S)
            return work.done[0][1] - failed

    assert round(run(main()), 3) == FIRST_RETRY_S


def test_a_kick_does_not_wait_for_the_next_try() -> None:
    work = Work(lasts_s=0, content=False)

    async def main() -> int:
        async with working(work) as workers:
            workers.kick("a")
            await asyncio.sleep(20)
            before = len(work.done)
            workers.kick("a")
            await asyncio.sleep(MOMENT_S)
            return len(work.done) - before

    assert run(main()) == 1


def test_kicks_add_no_tries_to_those_of_what_fails_anyway() -> None:
    work = Work(lasts_s=0, content=False)

    async def main() -> None:
        async with working(work) as workers:
            for _ in range(20):
                workers.kick("a")
                await asyncio.sleep(MOMENT_S)
            work.done.clear()
            await asyncio.sleep(LONGEST_RETRY_S * 10)

    run(main())
    assert len(work.done) == 10


def test_a_kick_during_a_run_that_fails_is_not_lost_and_waits_for_no_other_try() -> None:
    work = Work(lasts_s=1)
    work.error = RuntimeError("on purpose")

    async def main() -> None:
        async with working(work) as workers:
            workers.kick("a")
            await asyncio.sleep(0.5)
            workers.kick("a")
            await asyncio.sleep(1)
            work.error = None
            await asyncio.sleep(10)

    run(main())
    assert [moment - 1000.0 for _, moment in work.done] == [1.0, 2.0]


def test_forget_drops_the_next_try() -> None:
    work = Work(lasts_s=0, content=False)

    async def main() -> None:
        async with working(work) as workers:
            workers.kick("a")
            await asyncio.sleep(MOMENT_S)
            workers.forget("a")
            await asyncio.sleep(100)

    run(main())
    assert len(work.done) == 1


def test_hold_waits_for_the_worker_and_keeps_it_out() -> None:
    work = Work()
    events: list[str] = []

    async def main() -> None:
        async with working(work) as workers:
            workers.kick("a")
            await asyncio.sleep(0.5)
            async with workers.hold("a"):
                events.append(f"held after {len(work.done)}")
                workers.kick("a")
                workers.kick("b")
                await asyncio.sleep(10)
                events.append(" ".join(key for key, _ in work.done))
            await asyncio.sleep(10)

    run(main())
    assert events == ["held after 1", "a b"]
    assert [key for key, _ in work.done] == ["a", "b", "a"]


def test_many_who_hold_a_key_never_overlap() -> None:
    inside: list[int] = []
    most: list[int] = []

    async def main() -> None:
        async with working(Work()) as workers:

            async def holder(number: int) -> None:
                await asyncio.sleep(number * 0.3)
                async with workers.hold("a"):
                    inside.append(number)
                    most.append(len(inside))
                    await asyncio.sleep(1)
                    inside.remove(number)
                # at once again: whoever waits must not be overtaken into its turn
                async with workers.hold("a"):
                    inside.append(number)
                    most.append(len(inside))
                    await asyncio.sleep(1)
                    inside.remove(number)

            await asyncio.gather(*map(holder, range(5)))

    run(main())
    assert set(most) == {1}
    assert len(most) == 10


def test_close_leaves_no_task_and_no_timer() -> None:
    work = Work(lasts_s=1000)
    unhappy = Work(lasts_s=0, content=False)

    async def main() -> None:
        async with working(work) as busy, working(unhappy) as waiting:
            busy.kick("a")
            waiting.kick("b")
            await asyncio.sleep(1)
        tries = len(unhappy.done)
        busy.kick("a")
        waiting.kick("b")
        await asyncio.sleep(100)
        assert len(unhappy.done) == tries

    run(main())
    assert work.done == []
    assert work.inside == []


def test_what_fails_after_it_was_content_is_tried_again() -> None:
    work = Work(lasts_s=1)

    async def main() -> None:
        async with working(work) as workers:
            workers.kick("a")
            await asyncio.sleep(0.5)
            workers.kick("a")
            await asyncio.sleep(1)
            work.error = RuntimeError("on purpose")
            await asyncio.sleep(1)
            work.error = None
            await asyncio.sleep(10)

    run(main())
    assert len(work.done) == 3
