"""The file of identifiers: a line a change, so that an ADD costs the same however many there are."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)


class Line(NamedTuple):
    """What became of an identifier.

    Attributes:
        pool: that it is of.
        key: who has it, or had it.
        identifier: itself.
        until: when it has rested, seconds since the epoch; 0 while somebody has it.
    """

    pool: str
    key: str
    identifier: int
    until: float = 0.0


def read(path: Path, space: int) -> list[Line]:
    """Return what a file tells, the oldest first; none when there is no file.

    A line that cannot be read is one that a lost machine did not finish: nobody was told.

    Args:
        path: of the file.
        space: identifiers are less than that.
    """
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return []
    found, unread = [], 0
    for line in text.splitlines():
        try:
            pool, key, identifier, until = json.loads(line)
            found.append(Line(str(pool), str(key), int(identifier), float(until)))
            if not 0 < found[-1].identifier < space:
                raise ValueError(found.pop())
        except (ValueError, TypeError, RecursionError):
            unread += 1
    if unread:
        log.error("%s: %d lines cannot be read and are left out", path, unread)
    return found


class Journal:
    """The file, written anew when this is made. Raises OSError then.

    Args:
        path: of the file.
        lines: what it begins with, which survives the loss of power at once.
    """

    def __init__(self, path: Path, lines: Iterable[Line]) -> None:
        self._owed = False
        self._keeping = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "identifiers")
        self._file = _begin(path, lines)

    def append(self, lines: Iterable[Line], *, owed: bool) -> None:
        """Add lines; those that are owed have `kept` wait for the disk. Raises OSError."""
        _append(self._file, lines)
        self._owed = self._owed or owed

    async def kept(self) -> None:
        """Return when every line that is owed survives the loss of power. Raises OSError."""
        async with self._keeping:
            if not self._owed:
                return
            self._owed = False
            try:
                await self.written()
            except BaseException:
                self._owed = True
                raise

    def written(self) -> asyncio.Future[None]:
        """Have all that was appended written to the disk; the future tells when, or the OSError why not."""
        return asyncio.get_running_loop().run_in_executor(self._thread, os.fdatasync, self._file)

    def close(self) -> None:
        self._thread.shutdown()
        os.close(self._file)


def _begin(path: Path, lines: Iterable[Line]) -> int:
    fresh = path.with_suffix(".new")
    file = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        _append(file, lines)
        os.fdatasync(file)
        fresh.replace(path)
        _sync_directory(path.parent)
    except BaseException:
        os.close(file)
        raise
    return file


def _append(file: int, lines: Iterable[Line]) -> None:
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    size = os.fstat(file).st_size
    if os.write(file, data) != len(data):
        os.ftruncate(file, size)  # half a line would spoil the next one, too
        raise OSError(errno.ENOSPC, "identifiers cannot be kept: the file system is full")


def _sync_directory(directory: Path) -> None:
    """Have a file's new name survive the loss of power."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
