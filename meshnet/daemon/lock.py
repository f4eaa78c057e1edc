"""The run directory belongs to one daemon: a lock on a file in it, which the kernel takes back when the daemon ends."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import os
from typing import TYPE_CHECKING

from meshnet.daemon.rundir import RIGHT, unusable
from meshnet.errors import InvalidObject, Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

NAME = "lock"
PATIENCE_S = 2.0
"""A predecessor that is on its way out may still have it for a moment."""
PAUSE_S = 0.05


@contextlib.asynccontextmanager
async def alone(directory: Path, *, patience_s: float = PATIENCE_S) -> AsyncIterator[Callable[[], None]]:
    """Be the only daemon of a run directory for the length of an ``async with``.

    Two would answer at one socket, write each other's checkpoints, and delete each other's ports.

    Args:
        directory: is made when it is not there.
        patience_s: seconds to wait for another that has it.

    Returns what is to be called when the directory may have been made anew, without the lock: it raises InvalidObject
    when another daemon has it by then, OSError.

    Raises InvalidObject, naming the process that has it, or why the directory cannot be used.
    """
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        fd = _opened(directory)
    except OSError as error:
        raise unusable("MESHNET_RUN_DIR", directory, RIGHT, error) from error
    try:
        await _lock_patiently(fd, directory, patience_s)
        yield functools.partial(_put_back, fd, directory)
    finally:
        os.close(fd)


def _opened(directory: Path) -> int:
    return os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _put_back(fd: int, directory: Path) -> None:
    """Have a descriptor hold the lock that is in the directory now."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(fd), os.stat(directory / NAME)):
            return
    fresh = _opened(directory)
    try:
        _lock(fresh, directory)
        os.dup2(fresh, fd, inheritable=False)
    finally:
        os.close(fresh)


async def _lock_patiently(fd: int, directory: Path, patience_s: float) -> None:
    deadline = asyncio.get_running_loop().time() + patience_s
    while True:
        try:
            _lock(fd, directory)
        except InvalidObject:
            if asyncio.get_running_loop().time() >= deadline:
                raise
        else:
            return
        await asyncio.sleep(PAUSE_S)


def _lock(fd: int, directory: Path) -> None:
    """Lock and say who has it. Raises InvalidObject when another has."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        right = f"a directory that no other daemon uses; process {_holder(fd)} uses this one"
        raise InvalidObject("settings", [Problem("MESHNET_RUN_DIR", str(directory), right)]) from None
    with contextlib.suppress(OSError):  # a full disk is no reason to stay away
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)


def _holder(fd: int) -> str:
    """Return the process ID that the holder has written, as it sees itself."""
    return os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
