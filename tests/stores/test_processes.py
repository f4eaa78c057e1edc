"""Several processes on one file, some of them killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from meshnet.model.resource import Kind
from meshnet.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def process(program: str, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    command = [sys.executable, str(Path(__file__).with_name(program)), *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as child:
        try:
            assert child.stdout is not None
            yield child, child.stdout
        finally:
            child.kill()


def listed(path: Path) -> dict[str, int]:
    """The counter of each object that has one, as a process sees it that comes after."""

    async def run() -> dict[str, int]:
        store = SqliteStore(path)
        items = (await store.list(Kind.TOPOLOGY)).items
        await store.close()
        for item in items:
            counter = item.status.get("counter")
            assert item.status.get("filling") == (str(counter) * 2000 if counter else None)
        return {item.name: item.status["counter"] for item in items if "counter" in item.status}

    return asyncio.run(run())


def lines(text: str) -> list[tuple[str, int]]:
    """The acknowledgements in what a process printed; a killed one may have left half a line."""
    whole = text[: text.rfind("\n") + 1].splitlines()
    return [(name, int(counter)) for name, counter in map(str.split, whole)]


@pytest.mark.parametrize("seed", range(4))
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "store.db"
    chance = random.Random(seed)
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(process("process_writer.py", path, f"w{number}", 5, 0)) for number in range(3)]
        outputs = [output.readline() for _, output in writers]  # each of them has begun
        time.sleep(chance.uniform(0.05, 0.3))
        for child, _ in writers:
            child.kill()
            time.sleep(chance.uniform(0, 0.02))
        outputs = [first + output.read() for first, (_, output) in zip(outputs, writers, strict=True)]
    found = listed(path)
    for output in outputs:
        acknowledged = dict(lines(output))  # the last counter of each object
        assert acknowledged
        last = max(acknowledged.values())
        for name, counter in acknowledged.items():
            # The very last write may have happened without having been told.
            assert found[name] == counter or found[name] == last + 1, name
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_watcher_in_another_process_sees_all_in_order(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    writes = 2000
    with process("process_watcher.py", path, 2 * writes) as (_, seen):
        assert seen.readline() == "ready\n"
        with (
            process("process_writer.py", path, "w0", 7, writes) as (one, acknowledged_one),
            process("process_writer.py", path, "w1", 7, writes) as (other, acknowledged_other),
        ):
            acknowledged = [lines(output.read()) for output in (acknowledged_one, acknowledged_other)]
            assert [one.wait(), other.wait()] == [0, 0]
        watched = lines(seen.read())
    assert [[line for line in watched if line[0].startswith(own)] for own in ("w0", "w1")] == acknowledged
    assert list((tmp_path / "store.db.watchers").iterdir()) == []


def test_the_bell_of_a_killed_watcher_is_taken_down(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with process("process_watcher.py", path, 1) as (watcher, seen):
        assert seen.readline() == "ready\n"
        watcher.kill()
        watcher.wait()
    assert len(list((tmp_path / "store.db.watchers").iterdir())) == 1
    with process("process_writer.py", path, "w0", 1, 1) as (writer, _):
        assert writer.wait() == 0
    assert list((tmp_path / "store.db.watchers").iterdir()) == []
