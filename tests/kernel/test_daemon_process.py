"""The daemon as a process: alone in its run directory, with as many descriptors as it may have."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from meshnet.cli import exitcodes
from meshnet.reconcile.passes import ALIVE_S
from tests.driver.conftest import DRIVER
from tests.kernel.daemons import distribution, pair
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.daemons import DaemonNode

pytestmark = pytest.mark.kernel


def second(node: DaemonNode) -> subprocess.CompletedProcess[str]:
    """Run one more daemon in a node's run directory, until it has said why it goes."""
    env = {
        "PATH": os.environ["PATH"],
        "MESHNET_RUN_DIR": str(node.directory / "run"),
        "MESHNET_STATE_DIR": str(node.directory / "state"),
        "MESHNET_STORE": "memory:",
    }
    command = [sys.executable, "-m", "meshnet", "daemon"]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("removed", [False, True], ids=["as it was", "made anew"])
def test_a_second_one_in_the_same_run_directory_says_who_is_there_and_goes(node: DaemonNode, removed: bool) -> None:
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    assert eventually(r1.carrier)
    assert node.process is not None
    if removed:
        shutil.rmtree(node.directory / "run")
        assert eventually(node.socket.exists, within=ALIVE_S + 2)

    done = second(node)

    assert done.returncode == 1, done.stderr
    assert f"process {node.process.pid} uses this one" in done.stderr
    assert "Traceback" not in done.stderr
    assert r1.carrier()
    assert node.answers()


def test_one_whose_run_directory_is_anothers_by_now_ends_and_its_links_go_on(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    assert eventually(r1.carrier)
    process, run, fresh = node.process, node.directory / "run", node.directory / "fresh"
    assert process is not None
    fresh.mkdir()
    with (fresh / "lock").open("w") as lock:
        lock.write("another")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        run.rename(node.directory / "before")
        fresh.rename(run)

        assert process.wait(ALIVE_S + 10) == exitcodes.FAILED

    assert node.log().splitlines()[-1].endswith("process another uses this one")
    assert set(os.listdir(run)) == {"alive", "lock"}
    assert "Traceback" not in node.log()
    assert r1.carrier()


def test_it_may_open_as_many_descriptors_as_its_hard_limit_says(node: DaemonNode) -> None:
    (line,) = (line for line in node.proc("limits").splitlines() if line.startswith("Max open files"))
    soft, hard = line.split()[3:5]
    assert soft == hard


STUBBORN = """
    async def inspect(self):
        import asyncio
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
"""


def test_a_driver_that_ignores_that_it_is_cancelled_does_not_keep_it(node: DaemonNode, tmp_path: Path) -> None:
    site = distribution(tmp_path, "stubborn", DRIVER.format(name="stubborn", aliases=(), extra=STUBBORN.strip()))
    node.stop()
    node.start(PYTHONPATH=site)

    begun = time.monotonic()
    node.stop()

    assert time.monotonic() - begun < 10
    assert "driver stubborn: inspect: it ignores that it was cancelled, and is still running" in node.log()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_driver_whose_import_does_not_end_does_not_keep_it(
    node: DaemonNode, tmp_path: Path, number: signal.Signals
) -> None:
    begun = tmp_path / "begun"
    site = distribution(tmp_path, "endless", f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(3600)\n")
    node.stop()
    node.begin(PYTHONPATH=site)
    assert eventually(begun.exists)
    process = node.process
    assert process is not None

    process.send_signal(number)

    assert process.wait(10) == 130
    assert "interrupted in endless of distribution endless" in node.log()
    assert "Traceback" not in node.log()


TOLD_AGAIN = """
import asyncio.selector_events, atexit, os, signal
atexit.register(os.kill, os.getpid(), signal.SIGTERM)
Loop = asyncio.selector_events.BaseSelectorEventLoop
close = Loop.close
def close_and_be_told(loop):
    close(loop)
    os.kill(os.getpid(), signal.SIGTERM)
Loop.close = close_and_be_told
"""


def test_a_signal_that_comes_while_it_ends_changes_nothing(node: DaemonNode, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(TOLD_AGAIN)
    node.stop()
    node.start(PYTHONPATH=str(tmp_path))
    node.stop()
    assert "Traceback" not in node.log()
