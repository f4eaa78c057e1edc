"""The loop beside a test: it runs by itself, gives back what it ran, and is not held up for ever."""

import asyncio
import os
import threading
import time

import pytest

from meshnet.testing import loop as module
from meshnet.testing.loop import LoopThread


@pytest.fixture
def loop():
    loop = LoopThread()
    yield loop
    loop.close()


async def ticking(ticks):
    while True:
        ticks.append(1)
        await asyncio.sleep(0.001)


def test_what_a_coroutine_returns_or_raises_comes_back(loop):
    async def fails():
        raise TimeoutError("its own")

    assert loop.run(asyncio.sleep(0, 7), limit_s=1) == 7
    with pytest.raises(TimeoutError, match="its own"):
        loop.run(fails(), limit_s=1)


def test_tasks_go_on_between_calls_and_end_with_the_loop():
    ticks = []
    loop = LoopThread()

    async def start():
        loop.task = asyncio.create_task(ticking(ticks))

    loop.run(start(), limit_s=1)
    before = len(ticks)
    deadline = time.monotonic() + 5
    while len(ticks) == before and time.monotonic() < deadline:
        time.sleep(0.005)
    loop.close()

    assert len(ticks) > before
    assert loop.task.cancelled()


def test_a_blocked_loop_is_told(loop, monkeypatch):
    monkeypatch.setattr(module, "STUCK_S", 0.1)
    release = threading.Event()

    async def blocks():
        release.wait(5)

    with pytest.raises(AssertionError, match=r"the driver has blocked the event loop for 0\.2 s"):
        loop.run(blocks(), limit_s=0.1)
    release.set()


def test_a_closed_loop_leaves_nothing():
    before = set(os.listdir("/proc/self/fd")), threading.active_count()

    loop = LoopThread()
    loop.run(asyncio.sleep(0), limit_s=1)
    loop.close()

    assert (set(os.listdir("/proc/self/fd")), threading.active_count()) == before
