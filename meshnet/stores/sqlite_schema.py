"""The file of a SQLite store: made, recognised, opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import urllib.parse
from typing import TYPE_CHECKING

from meshnet.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID = 0x6D657368  # "mesh"; `file` and SQLite's own tools show it
VERSION = 1

# The log is where documents live: an object is a pointer to its newest change, so a document is written once a write.
# `log.floor`: changes up to it are forgotten, but for those that objects still point at. Volumes are running totals of
# document bytes, so that the log can be bounded by size without adding anything up.
_TABLES = """
CREATE TABLE changes (
    revision INTEGER PRIMARY KEY,
    volume INTEGER NOT NULL,
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    change TEXT NOT NULL,
    document TEXT NOT NULL
);
CREATE TABLE objects (
    kind TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID;
CREATE TABLE log (floor INTEGER NOT NULL, volume INTEGER NOT NULL);
INSERT INTO log VALUES (0, 0);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    about TEXT NOT NULL,
    type TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    source TEXT NOT NULL,
    count INTEGER NOT NULL,
    time REAL NOT NULL,
    UNIQUE (about, reason, message, source)
);
"""


def connect(path: Path, *, create: bool, synchronous: str) -> sqlite3.Connection:
    """Open the file, making it (mode 0600) or its tables first where they are not there.

    Raises StoreUnavailable for a file that is something else, and sqlite3's errors; a busy one may pass.
    """
    if create:
        _make_file(path)
    # mode=rw: SQLite never makes the file itself, it would ask the umask for the mode.
    connection = sqlite3.connect(
        f"file:{urllib.parse.quote(os.fsencode(path))}?mode=rw", uri=True, isolation_level=None, timeout=0
    )
    try:
        if _is_new(connection, path):
            _make_tables(connection, path)
        # Deleted documents need no wiping: it would double what is written.
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute(f"PRAGMA synchronous={synchronous}")
    except BaseException:
        connection.close()
        raise
    return connection


def _make_file(path: Path) -> None:
    # Only with O_EXCL: opening and closing a database that this process has open drops SQLite's locks on it.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _is_new(connection: sqlite3.Connection, path: Path) -> bool:
    """As `_is_empty`, all of it as it was at one moment: another process may be making the tables."""
    connection.execute("BEGIN")
    try:
        return _is_empty(connection, path)
    finally:
        if connection.in_transaction:  # some errors have rolled back already
            connection.execute("ROLLBACK")


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is a database without anything in it; raises StoreUnavailable when it is not ours."""
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not owner and not version and not tables:
        return True
    if owner != APPLICATION_ID:
        raise StoreUnavailable(f"store {path}: is a SQLite database of another program, not a meshnet store")
    if version != VERSION:
        raise StoreUnavailable(f"store {path}: has format {version}; this meshnet knows format {VERSION}")
    return False


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise StoreUnavailable(f"store {path}: its file system cannot share memory between processes (WAL mode)")
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(connection, path):  # another process may have been first
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
