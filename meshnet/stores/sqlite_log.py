"""The log of changes in a SQLite store, and the objects that point into it. Plain calls on a connection."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import attrs

from meshnet.model.resource import ObjectKey, Resource
from meshnet.stores.base import Change, WatchEvent
from meshnet.stores.edits import outcome, stamped
from meshnet.stores.follow import BATCH, Batch, check_place
from meshnet.stores.text import dump, load

if TYPE_CHECKING:
    from meshnet.model.resource import Kind
    from meshnet.stores.edits import Edit

_FIND = """SELECT objects.revision, document FROM objects JOIN changes USING (revision)
WHERE objects.kind = ? AND objects.namespace = ? AND objects.name = ?"""

_POINT = """INSERT INTO objects VALUES (?, ?, ?, ?)
ON CONFLICT (kind, namespace, name) DO UPDATE SET revision = excluded.revision"""

_FORGET = """DELETE FROM changes WHERE revision > ? AND revision <= ? AND revision IS NOT (
SELECT revision FROM objects WHERE kind = changes.kind AND namespace = changes.namespace AND name = changes.name)"""

_CHANGES = """SELECT floor, head, revision, change, document FROM log
JOIN (SELECT coalesce(max(revision), 0) AS head FROM changes)
LEFT JOIN (SELECT revision, change, document FROM changes WHERE revision > ? AND kind = ? ORDER BY revision LIMIT ?)
ORDER BY revision"""


@attrs.frozen
class Retention:
    """How much of the past the log keeps for watches.

    Attributes:
        changes: at least so many, if their documents do not take more than
        volume: so many bytes.
    """

    changes: int = 10_000
    volume: int = 64 << 20


class Damaged(sqlite3.DatabaseError):
    """A row is none that a store wrote."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


@attrs.frozen
class _Ends:
    """Where the log begins and ends: revisions, and the bytes written up to them."""

    floor: int
    floor_volume: int
    head: int
    head_volume: int


def find(connection: sqlite3.Connection, kind: Kind, key: ObjectKey) -> Resource | None:
    """The object as it stands, or None."""
    row = connection.execute(_FIND, (kind.value, *key)).fetchone()
    return None if row is None else _resource(kind, row[1])


def find_all(connection: sqlite3.Connection, kind: Kind, namespace: str | None) -> tuple[list[Resource], int]:
    """All objects of a kind by (namespace, name), and the revision they are of."""
    only = ("", ()) if namespace is None else (" AND objects.namespace = ?", (namespace,))
    # One statement is one moment; the head comes with it, also when there are no objects.
    rows = connection.execute(
        "SELECT head, document FROM (SELECT coalesce(max(revision), 0) AS head FROM changes) LEFT JOIN"  # noqa: S608
        " (SELECT objects.namespace, objects.name, document FROM objects JOIN changes USING (revision)"
        f" WHERE objects.kind = ?{only[0]}) AS found ON true ORDER BY found.namespace, found.name",
        (kind.value, *only[1]),
    ).fetchall()
    return [_resource(kind, text) for _, text in rows if text is not None], rows[0][0]


def write(
    connection: sqlite3.Connection, kind: Kind, key: ObjectKey, edit: Edit, retention: Retention
) -> tuple[Resource, bool]:
    """Carry out one edit inside a transaction.

    Return the object after it (when it was removed: as it was last), and whether anything changed.
    """
    before = find(connection, kind, key)
    change, document = outcome(edit, before)
    if change is None:
        return Resource(kind, document), False
    ends = _ends(connection)
    resource = Resource(kind, stamped(document, ends.head + 1))
    volume = _append(connection, resource, change, ends)
    if before is not None and int(before.resource_version) <= ends.floor:
        # Below the floor only what objects point at is kept.
        connection.execute("DELETE FROM changes WHERE revision = ?", (int(before.resource_version),))
    _trim(connection, attrs.evolve(ends, head=ends.head + 1, head_volume=volume), retention)
    return resource, True


def changes(connection: sqlite3.Connection, kind: Kind, position: int) -> Batch:
    """The next changes of a kind after `position`. Raises WatchExpired when the log has forgotten some."""
    # One statement is one moment: where the log begins and ends comes with each row, also when there is none.
    found = connection.execute(_CHANGES, (position, kind.value, BATCH)).fetchall()
    floor, head = found[0][:2]
    check_place(position, floor, head)
    rows = [(at, change, text) for _, _, at, change, text in found if at is not None]
    events = [WatchEvent(Change(change), _resource(kind, text), str(at)) for at, change, text in rows]
    if len(rows) == BATCH:
        return Batch(events, rows[-1][0], more=True)
    return Batch(events, head, more=False)


def _resource(kind: Kind, text: str) -> Resource:
    """Return the object of a document. Raises Damaged when it is none, which must not pass for "it is gone"."""
    try:
        document: object = load(text)
    except (TypeError, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        raise Damaged(f"{text[:60]!r} is no {kind.value}")
    return Resource(kind, document)


def _ends(connection: sqlite3.Connection) -> _Ends:
    floor, floor_volume, head, head_volume = connection.execute(
        "SELECT floor, log.volume, revision, changes.volume FROM log"
        " LEFT JOIN changes ON revision = (SELECT max(revision) FROM changes)"
    ).fetchone()
    return _Ends(floor, floor_volume, head or 0, head_volume or 0)


def _append(connection: sqlite3.Connection, resource: Resource, change: Change, ends: _Ends) -> int:
    """Write a change behind the last one; return the volume of the log with it."""
    key = (resource.kind.value, *resource.key)
    text = dump(resource.document, str(resource))
    revision, volume = ends.head + 1, ends.head_volume + len(text)
    connection.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", (revision, volume, *key, change.value, text))
    if change is Change.DELETED:
        connection.execute("DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?", key)
    else:
        connection.execute(_POINT, (*key, revision))
    return volume


def _trim(connection: sqlite3.Connection, ends: _Ends, retention: Retention) -> None:
    """Forget what is too old; an eighth over the bound first, so that it costs nothing most of the time."""
    if (
        ends.head - ends.floor <= retention.changes * 9 // 8
        and ends.head_volume - ends.floor_volume <= retention.volume * 9 // 8
    ):
        return
    # The first change to keep; the newest is kept always, for it carries the revision.
    first, volume = connection.execute(
        "SELECT revision, volume FROM changes WHERE revision > ? AND (volume > ? OR revision = ?)"
        " ORDER BY revision LIMIT 1",
        (max(ends.floor, ends.head - retention.changes), ends.head_volume - retention.volume, ends.head),
    ).fetchone()
    connection.execute(_FORGET, (ends.floor, first - 1))
    connection.execute("UPDATE log SET floor = ?, volume = ?", (first - 1, volume))
