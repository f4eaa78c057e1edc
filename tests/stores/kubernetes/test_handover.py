from __future__ import annotations

import asyncio
import threading

from meshnet.stores.kubernetes.handover import Handover


def test_all_comes_in_order_however_small_the_room() -> None:
    async def run() -> None:
        handover = Handover[int](room=3)
        thread = threading.Thread(target=lambda: [handover.put(number) for number in range(500)])
        thread.start()
        taken: list[int] = []
        while len(taken) < 500:
            some = await handover.take()
            assert 1 <= len(some) <= 3
            taken += some
        assert taken == list(range(500))
        thread.join(5)

    asyncio.run(run())


def test_a_thread_that_waits_for_room_is_let_go() -> None:
    async def run() -> None:
        handover, outcomes = Handover[int](room=1), []
        thread = threading.Thread(target=lambda: outcomes.extend([handover.put(1), handover.put(2)]))
        thread.start()
        await asyncio.sleep(0.05)
        assert thread.is_alive()
        handover.close()
        thread.join(5)
        assert outcomes == [True, False]

    asyncio.run(run())


def test_the_last_word_goes_before_what_waits() -> None:
    async def run() -> None:
        handover = Handover[str]()
        handover.put("first")
        waiting = asyncio.create_task(handover.take())
        handover.close("the end")
        assert await waiting == ["the end"]
        assert not handover.put("more")

    asyncio.run(run())


def test_a_loop_that_is_gone_is_no_error() -> None:
    async def make() -> Handover[int]:
        return Handover()

    handover = asyncio.run(make())
    assert handover.put(1)
