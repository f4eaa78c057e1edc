"""A daemon's process ends, whatever of it does not."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from meshnet.daemon.ending import ENDS_S

PROGRAM = """
import asyncio, logging, time
from meshnet.daemon.ending import run_to_the_end

logging.basicConfig()

async def stubborn():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

async def main():
    {act}

run_to_the_end(main())
print("and is told so")
"""
TASK = "kept = asyncio.create_task(stubborn(), name='driver d: patch'); await asyncio.sleep(0)"
THREAD = "asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)"


def ended(act: str) -> subprocess.CompletedProcess[str]:
    begun = time.monotonic()
    program = PROGRAM.format(act=act)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert time.monotonic() - begun < 3 * ENDS_S + 2
    return done


def test_one_that_leaves_nothing_ends_at_once() -> None:
    done = ended("pass")

    assert (done.returncode, done.stdout, done.stderr) == (0, "and is told so\n", "")


def test_a_task_that_ignores_that_it_was_cancelled_is_told_and_left() -> None:
    done = ended(TASK)

    assert done.returncode == 0
    assert "driver d: patch: it ignores that it was cancelled, and is still running" in done.stderr


def test_a_thread_that_never_ends_is_left() -> None:
    done = ended(THREAD)

    assert done.returncode == 0
    assert "ends without waiting for what is left" in done.stderr


@pytest.mark.parametrize("left", ["pass", TASK, THREAD], ids=["nothing", "task", "thread"])
def test_a_failure_is_one_whatever_is_left(left: str) -> None:
    done = ended(left + "; raise RuntimeError('no luck')" if left != "pass" else "raise RuntimeError('no luck')")

    assert done.returncode == 1
    assert "RuntimeError: no luck" in done.stderr
