"""Files of a store that somebody cuts off, removes or replaces while it is in use; in a process that may die of it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.stores.sqlite_guard import FileGuard

if TYPE_CHECKING:
    from pathlib import Path

USER = """
import asyncio, sys
from meshnet.errors import StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.stores.sqlite import SqliteStore
from meshnet.testing.stores.handles import topology

async def main(path, first, last):
    store = SqliteStore(path)
    if first == "write":
        for number in range(50):
            await store.apply(topology(f"r{number}"))
    await store.list(Kind.TOPOLOGY)
    print("open", flush=True)
    sys.stdin.readline()
    try:
        if last == "use":
            found = await store.list(Kind.TOPOLOGY)
            await store.apply(topology("late"))
            print(len(found.items), flush=True)
    except StoreUnavailable as error:
        print(error, flush=True)
    await store.close()
    print("closed", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def start(path: Path, first: str, last: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", USER, str(path), first, last]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def finish(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate("\n", timeout=30)
    assert process.returncode == 0, process.returncode
    return out.splitlines()


def again(path: Path) -> str:
    """What a process that starts afterwards finds."""
    return finish(start(path, "read", "use"))[0]


@pytest.mark.parametrize("length", [0, 100, 5000])
@pytest.mark.parametrize("last", ["use", "close"])
def test_a_shm_that_was_cut_off_ends_nobody(tmp_path: Path, length: int, last: str) -> None:
    path = tmp_path / "store.db"
    process = start(path, "write", last)
    os.truncate(f"{path}-shm", length)

    assert finish(process) == (["50", "closed"] if last == "use" else ["closed"])
    assert again(path) == ("51" if last == "use" else "50")


def test_two_processes_go_on_together(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    one = start(path, "write", "use")
    other = start(path, "read", "use")
    os.truncate(f"{path}-shm", 0)

    assert finish(one) == ["50", "closed"]
    assert finish(other) == ["51", "closed"]


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_who_would_write_where_nobody_looks_says_so(tmp_path: Path, suffix: str, replaced: bool) -> None:
    path = tmp_path / "store.db"
    process = start(path, "write", "use")
    os.unlink(f"{path}{suffix}")
    if replaced:
        (tmp_path / f"store.db{suffix}").write_bytes(b"")

    told, closed = finish(process)
    assert told.startswith(f"store {path}{suffix}: was removed or replaced while in use")
    assert closed == "closed"
    assert again(path) == "50"


def test_a_file_that_cannot_be_looked_at_is_not_called_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    path.touch()
    guard = FileGuard(path)
    guard.look()

    def refused(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", refused)
        with pytest.raises(StoreUnavailable) as refusal:
            guard.look()
    assert str(refusal.value) == f"store {path}: Input/output error"
    guard.look()
