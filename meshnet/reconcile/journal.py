"""The file of identifiers: a line a change, so that an ADD costs the same however many there are."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from meshnet.wholefile import sync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

T = TypeVar("T")

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
    """Return what a file tells, the oldest first; none when there is no file. Raises OSError.

    A line that cannot be read, or has no end, is one that a lost machine did not finish: nobody was told.

    Args:
        path: of the file.
        space: identifiers are less than that.
    """
    try:
        text = path.read_bytes().decode(errors="replace")
    except FileNotFoundError:
        return []
    *lines, unfinished = text.split("\n")
    found, unread = [], int(bool(unfinished))
    for line in lines:
        try:
            pool, key, identifier, until = json.loads(line)
            found.append(Line(str(pool), str(key), int(identifier), float(until)))
            if not 0 < found[-1].identifier < space:
                raise ValueError(found.pop())
        except (ValueError, TypeError, OverflowError, RecursionError):
            unread += 1
    if unread:
        log.error("%s: %d lines cannot be read and are left out", path, unread)
    return found


class Journal:
    """The file, written anew when this is made.

    On a full file system it goes on as it is: a daemon that cannot be told anything new is better than none. Raises
    OSError when not even that can be used.

    Args:
        path: of the file.
        lines: what it begins with, which survives the loss of power at once.
        before: how many lines the file has that is there.

    Attributes:
        anew: whether it begins with `lines`, and is not the one that was there.
        length: how many lines it has.
    """

    def __init__(self, path: Path, lines: Iterable[Line], *, before: int = 0) -> None:
        self._path = path
        self._owed = False
        self._keeping = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "identifiers")
        self._next: int | None = None
        self._renewing: asyncio.Task[None] | None = None
        given = list(lines)
        try:
            self._file, self.anew, self.length = _anew(path, given), True, len(given)
        except OSError as error:
            self._file, self.anew, self.length = _as_it_is(path), False, before
            log.error("%s: not written anew, it goes on as it is: %s", path, error)

    def append(self, lines: Iterable[Line], *, owed: bool) -> None:
        """Add lines; those that are owed have `kept` wait for the disk. Raises OSError."""
        given = list(lines)
        _append(self._file, given)
        self.length += len(given)
        self._owed = self._owed or owed
        if self._next is not None:
            try:
                _append(self._next, given)
            except OSError as error:
                self._give_up(error)

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
        return self._on_disk(_sync, [self._file] if self._next is None else [self._file, self._next])

    def renew(self, lines: Iterable[Line]) -> None:
        """Have the file written anew, with these lines and what is appended from here on; nobody waits for that.

        What is appended goes to both, so that the new one never has to catch up with the old one.
        """
        if self._renewing is not None:
            return
        given = list(lines)
        self.length = len(given)  # also should it fail: it is tried again when as much has come
        try:
            self._next = _fresh(self._path, given)
        except OSError as error:
            self._give_up(error)
        else:
            renewing = self._renew(self._next)
            self._renewing = asyncio.get_running_loop().create_task(renewing, name="identifiers anew")

    def close(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        if self._next is not None:
            self._close(self._next)
        self._close(self._file)
        self._thread.shutdown()

    async def _renew(self, fresh: int) -> None:
        """Let `fresh` take the file's place when the disk has it.

        The one thread for the disk does one thing after the other. So a line of which anybody was told by now that it
        survives was there when `fresh` was made, or its `written` had both files on the disk.
        """
        try:
            await self._on_disk(_sync, [fresh])
            if self._next is None:
                return  # given up meanwhile
            _take_over(self._path)
            before, self._file, self._next = self._file, fresh, None
            self._close(before)
            # Asked for before the disk is told of anything that is appended from here on.
            await self._on_disk(sync_directory, self._path.parent)
        except OSError as error:
            self._give_up(error)
        finally:
            self._renewing = None

    def _give_up(self, error: OSError) -> None:
        """Go on with the file as it is."""
        log.error("%s: not written anew as it should be, it goes on growing: %s", self._path, error)
        if self._next is not None:
            self._close(self._next)
            self._next = None
            _drop(self._path)

    def _close(self, file: int) -> None:
        """Close a file after all that the disk's thread has still to do with it."""
        self._thread.submit(os.close, file)

    def _on_disk(self, work: Callable[[T], None], what: T) -> asyncio.Future[None]:
        """Have the one thread for it do something that waits for the disk."""
        return asyncio.get_running_loop().run_in_executor(self._thread, work, what)


def _anew(path: Path, lines: Iterable[Line]) -> int:
    """Return a new file of these lines, which has taken the place of that at `path` and survives the loss of power."""
    file = _fresh(path, lines)
    try:
        os.fdatasync(file)
        _take_over(path)
        sync_directory(path.parent)
    except BaseException:
        os.close(file)
        raise
    return file


def _as_it_is(path: Path) -> int:
    """Return the file at `path`, with all that is in it on the disk. Raises OSError.

    A last line that was not finished goes, or it would spoil the next one.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(file, path.read_bytes().rfind(b"\n") + 1)
        os.fdatasync(file)
        sync_directory(path.parent)
    except BaseException:
        os.close(file)
        raise
    return file


def _fresh(path: Path, lines: Iterable[Line]) -> int:
    """Return a new file of these lines beside that at `path`, which it may take the place of."""
    file = os.open(_beside(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        _append(file, lines)
    except BaseException:
        os.close(file)
        _drop(path)
        raise
    return file


def _drop(path: Path) -> None:
    """Remove the new file beside that at `path`: what is full has better use for its room."""
    with contextlib.suppress(OSError):
        _beside(path).unlink()


def _take_over(path: Path) -> None:
    _beside(path).replace(path)


def _beside(path: Path) -> Path:
    return path.with_suffix(".new")


def _sync(files: Iterable[int]) -> None:
    for file in files:
        os.fdatasync(file)


def _append(file: int, lines: Iterable[Line]) -> None:
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    size = os.fstat(file).st_size
    if os.write(file, data) != len(data):
        os.ftruncate(file, size)  # half a line would spoil the next one, too
        raise OSError(errno.ENOSPC, "identifiers cannot be kept: the file system is full")
