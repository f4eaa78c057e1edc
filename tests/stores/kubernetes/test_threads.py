from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from meshnet.stores.kubernetes.threads import Threads


def alive(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def test_work_runs_side_by_side_in_few_threads_which_end() -> None:
    async def run() -> None:
        threads = Threads(3, "side")
        together = threading.Barrier(3)
        assert len(await asyncio.gather(*(threads.run(together.wait) for _ in range(9)))) == 9
        assert len(alive("side")) == 3
        threads.close()

    asyncio.run(run())
    for thread in alive("side"):
        thread.join(5)
        assert not thread.is_alive()


def test_one_thread_does_for_one_after_the_other() -> None:
    async def run() -> None:
        threads = Threads(3, "single")
        for _ in range(5):
            await threads.run(lambda: None)
            await asyncio.sleep(0.05)  # it tells its outcome, and then that it is free
        assert len(alive("single")) == 1
        threads.close()

    asyncio.run(run())


def test_errors_are_raised_where_they_are_awaited() -> None:
    def fail() -> None:
        raise KeyError("x")

    async def run() -> None:
        threads = Threads(1, "fail")
        with pytest.raises(KeyError):
            await threads.run(fail)
        assert await threads.run(lambda: 5) == 5
        threads.close()

    asyncio.run(run())


def test_what_was_cancelled_before_it_began_is_not_done() -> None:
    async def run() -> None:
        threads, held, done = Threads(1, "cancel"), threading.Event(), []
        first = asyncio.create_task(threads.run(held.wait))
        second = asyncio.create_task(threads.run(lambda: done.append("second")))
        await asyncio.sleep(0.01)
        second.cancel()
        first.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        held.set()
        await threads.run(lambda: done.append("third"))
        assert done == ["third"]
        threads.close()

    asyncio.run(run())


def test_no_process_waits_for_them() -> None:
    script = (
        "import asyncio, time\n"
        "from meshnet.stores.kubernetes.threads import Threads\n"
        "async def run():\n"
        "    asyncio.create_task(Threads(1, 'x').run(lambda: time.sleep(60)))\n"
        "    await asyncio.sleep(0.05)\n"
        "asyncio.run(run())"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", script], check=True, timeout=40)
    assert time.monotonic() - began < 30
