"""One daemon a run directory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from meshnet.daemon.lock import alone
from meshnet.errors import InvalidObject
from tests.nobody import closed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import asyncio, pathlib, sys
from meshnet.daemon.lock import alone

async def main():
    async with alone(pathlib.Path(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


@contextlib.contextmanager
def another(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the directory, until the test ends it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


async def take(directory: Path, patience_s: float) -> None:
    async with alone(directory, patience_s=patience_s):
        assert (directory / "lock").read_text() == f"{os.getpid()}\n"


def test_the_second_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    with another(directory) as process, pytest.raises(InvalidObject) as caught:
        asyncio.run(take(directory, 0.1))
    assert str(caught.value) == (
        f"settings: MESHNET_RUN_DIR: '{directory}': a directory that no other daemon uses; "
        f"process {process.pid} uses this one"
    )


@pytest.mark.parametrize("below", ["", "deep/run"])
def test_one_that_cannot_be_used_is_named(tmp_path: Path, below: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    directory = tmp_path / below
    with closed(tmp_path), pytest.raises(InvalidObject) as caught:
        asyncio.run(take(directory, 0.1))
    assert str(caught.value) == (
        f"settings: MESHNET_RUN_DIR: '{directory}': a directory that it can make files in: Permission denied; "
        "this daemon is not run as root"
    )


def test_one_that_was_killed_leaves_it_to_the_next(tmp_path: Path) -> None:
    with another(tmp_path) as process:
        process.kill()
        process.wait(20)
        asyncio.run(take(tmp_path, 0.1))


def test_one_that_is_on_its_way_out_is_waited_for(tmp_path: Path) -> None:
    async def main(process: subprocess.Popen[str]) -> None:
        next_one = asyncio.create_task(take(tmp_path, 20.0))
        await asyncio.sleep(0.2)
        assert not next_one.done()
        process.kill()
        await next_one

    with another(tmp_path) as process:
        asyncio.run(main(process))


def test_it_is_given_back_at_the_end(tmp_path: Path) -> None:
    asyncio.run(take(tmp_path, 0.1))
    asyncio.run(take(tmp_path, 0.1))


def test_a_directory_that_was_removed_is_taken_again(tmp_path: Path) -> None:
    directory = tmp_path / "run"

    async def main() -> None:
        async with alone(directory) as still_alone:
            still_alone()
            shutil.rmtree(directory)
            directory.mkdir()
            still_alone()
            assert (directory / "lock").read_text() == f"{os.getpid()}\n"
            with pytest.raises(InvalidObject, match=f"process {os.getpid()} uses this one"):
                await take(directory, 0.1)
        await take(directory, 0.1)

    asyncio.run(main())


def test_one_that_another_took_when_it_was_removed_is_the_others(tmp_path: Path) -> None:
    directory = tmp_path / "run"

    async def main() -> None:
        async with alone(directory) as still_alone:
            shutil.rmtree(directory)
            with another(directory) as process:
                with pytest.raises(InvalidObject, match=f"process {process.pid} uses this one"):
                    still_alone()
                process.kill()
                process.wait(20)
                still_alone()

    asyncio.run(main())
