"""The watchdog tells who holds the event loop up."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from meshnet.daemon.watchdog import Watchdog

if TYPE_CHECKING:
    import pytest


async def watched(seconds: float, *, blocking: bool) -> None:
    watch = asyncio.create_task(Watchdog(limit_s=0.4).run())  # a busy machine keeps its thread waiting, too
    await asyncio.sleep(0)
    if blocking:
        hold_up(seconds)
    else:
        await asyncio.sleep(seconds)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


def hold_up(seconds: float) -> None:
    time.sleep(seconds)


def test_a_loop_that_is_held_up_is_told_once_with_the_place(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)

    asyncio.run(watched(1.6, blocking=True))

    (record,) = caplog.records
    assert "held up" in record.message
    assert "test_watchdog.py" in record.message
    assert record.message.endswith("hold_up")


STOPPED = """
import asyncio, logging, os, sys
from meshnet.daemon.watchdog import Watchdog

logging.basicConfig(format="%(message)s")

async def main():
    watch = asyncio.create_task(Watchdog(limit_s=0.3).run())
    print("runs", flush=True)
    while not await asyncio.to_thread(sys.stdin.read):
        pass
    await asyncio.sleep(0.3)
    os._exit(0)

asyncio.run(main())
"""


def test_a_daemon_that_was_stopped_blames_nobody_for_it() -> None:
    """As a paused machine or a frozen container is: where its loop happened to be then is nobody's fault."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGSTOP)
        time.sleep(1)
        process.send_signal(signal.SIGCONT)
        _, said = process.communicate(b"end", timeout=10)

    lines = said.decode().splitlines()  # more than one where the machine is busy
    assert lines
    assert all("did not run" in line for line in lines)


def test_a_loop_that_turns_is_not_told_and_no_thread_stays(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(watched(1, blocking=False))

    assert not caplog.records
    for thread in threading.enumerate():
        if thread.name == "watchdog":
            thread.join(5)
            assert not thread.is_alive()
