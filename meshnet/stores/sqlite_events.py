"""The events of a SQLite store. Plain calls on a connection."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from meshnet.stores.base import Event

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

KEPT = 10_000

_SLACK = 64
"""Events over the bound that are removed at once; counting them at every record would cost more than the record."""


def record(connection: sqlite3.Connection, event: Event) -> None:
    """Write down an event; a repetition moves to the end with its count."""
    key = (event.about, event.reason, event.message, event.source)
    row = connection.execute(
        "DELETE FROM events WHERE about = ? AND reason = ? AND message = ? AND source = ? RETURNING count", key
    ).fetchone()
    count = event.count + (row[0] if row else 0)
    added = connection.execute(
        "INSERT INTO events (about, reason, message, source, type, count, time) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*key, event.type, count, event.time or time.time()),
    ).lastrowid
    if added is not None and added % _SLACK == 0:
        connection.execute(
            "DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?)", (KEPT,)
        )


def recorded(connection: sqlite3.Connection) -> Sequence[Event]:
    """The newest events, the least recently recorded first."""
    rows = connection.execute(
        "SELECT about, type, reason, message, source, count, time FROM"
        " (SELECT * FROM events ORDER BY id DESC LIMIT ?) ORDER BY id",
        (KEPT,),
    )
    return [Event(*row) for row in rows.fetchall()]
