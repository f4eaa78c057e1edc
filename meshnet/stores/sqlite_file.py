"""A SQLite file shared by processes, asked from an event loop.

A call costs tens of microseconds and runs on the loop. Only another process's write can make it wait, and it never
waits inside SQLite: a busy file is tried again after a short sleep of the caller alone, for at most 5 s.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from meshnet.backoff import doubling, spread
from meshnet.errors import StoreUnavailable
from meshnet.presence import exists, is_directory
from meshnet.stores.sqlite_guard import FileGuard
from meshnet.stores.sqlite_schema import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

BUSY_LIMIT_S = 5.0

_WORDS = {
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_READONLY: "is not writable for this user",
    sqlite3.SQLITE_FULL: "no space left on its file system",
    sqlite3.SQLITE_NOTADB: "is not a SQLite database",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_IOERR: "reading or writing failed",
}


class SqliteFile:
    """The connection of one process to the file; opened at the first use, and again after a failed attempt.

    Attributes:
        path: the file, without symbolic links.
    """

    def __init__(self, path: str | os.PathLike[str], *, create: bool, synchronous: str) -> None:
        self.path = Path(os.path.realpath(path))
        self._create = create
        self._synchronous = synchronous
        self._connection: sqlite3.Connection | None = None
        self._guard = FileGuard(self.path)
        self._closed = False

    async def read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Return `ask(connection)`; each statement in it sees a moment of its own. Raises StoreUnavailable."""
        for pause in _pauses():
            try:
                return ask(self._open())
            except sqlite3.DatabaseError as error:
                self._judge(error)
            except OSError as error:
                raise StoreUnavailable(f"store {self.path}: {error.strerror}") from error
            await asyncio.sleep(pause)
        raise StoreUnavailable(f"store {self.path}: another process has kept it locked for {BUSY_LIMIT_S:.0f} s")

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Return `change(connection)`, run in one transaction; what it raises takes everything back.

        `change` may be called again when the file was busy. Raises StoreUnavailable.
        """
        return await self.read(lambda connection: _transaction(connection, change))

    def data_version(self) -> object:
        """Something that differs whenever another connection has committed; None where that cannot be told."""
        try:
            return self._open().execute("PRAGMA data_version").fetchone()[0]
        except (sqlite3.DatabaseError, OSError, StoreUnavailable):
            return None

    def close(self) -> None:
        """Close the connection for good; idempotent."""
        self._closed = True
        if self._connection is not None:
            with contextlib.suppress(StoreUnavailable, OSError):
                self._guard.look()
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreUnavailable(f"store {self.path}: is closed")
        if self._connection is None:
            self._connection = connect(self.path, create=self._create, synchronous=self._synchronous)
        # What is written into a file that has no name any more is lost; never acknowledge that.
        self._guard.look()
        return self._connection

    def _judge(self, error: sqlite3.DatabaseError) -> None:
        """Return when `error` may pass by waiting; else raise it in the user's words."""
        if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
            raise error
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return
        words = self._cannot_open() if code == sqlite3.SQLITE_CANTOPEN else _WORDS.get(code, "SQLite refused")
        raise StoreUnavailable(f"store {self.path}: {words} ({error})") from error

    def _cannot_open(self) -> str:
        try:
            if not is_directory(self.path.parent):
                return f"cannot be opened: there is no directory {self.path.parent}"
            if not exists(self.path):
                return "does not exist"
        except OSError as error:
            return f"cannot be opened: {error.strerror}"
        return "cannot be opened: permission denied, not a file, or too many files are open"


def _transaction(connection: sqlite3.Connection, change: Callable[[sqlite3.Connection], T]) -> T:
    # IMMEDIATE: a transaction that reads first and writes later fails at once when another process wrote in between.
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = change(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have rolled back already
            connection.execute("ROLLBACK")
        raise
    return result


def _pauses() -> Iterator[float]:
    """Seconds to sleep between attempts, jittered, until the limit is reached."""
    end = time.monotonic() + BUSY_LIMIT_S
    for pause in doubling(0.0005, 0.02):
        if time.monotonic() >= end:
            return
        yield spread(pause)
