"""The embedded store: a SQLite file that several daemons and commands of one machine share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshnet.errors import NotFound
from meshnet.stores import sqlite_events, sqlite_log
from meshnet.stores.admission import admit, kept_in, label, one_key
from meshnet.stores.base import Listing, Store, WatchEvent
from meshnet.stores.doorbell import Doorbell
from meshnet.stores.edits import Edit, applying, deleting, patching, patching_status
from meshnet.stores.follow import Batch, follow
from meshnet.stores.sqlite_file import SqliteFile
from meshnet.stores.sqlite_log import Retention

if TYPE_CHECKING:
    import os
    import sqlite3
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from meshnet.model.resource import Kind, ObjectKey, Resource
    from meshnet.stores.base import Event

SYNCHRONOUS = ("off", "normal", "full")


class SqliteStore(Store):
    """Objects in a file, shared by the processes that may open it (mode 0600: whoever may is trusted).

    What was acknowledged survives the death of every process. Whether the last moments survive a loss of power is
    said by `synchronous`. The file must stay where it is while it is used, on a local file system; beside it stand
    SQLite's ``-wal`` and ``-shm`` and the directory ``.watchers``.

    Use one in one event loop, and not across a fork.

    Args:
        path: the file; its directory must exist.
        create: make the file if it is not there.
        synchronous: ``full``: a write is on the disk when it returns; ``normal``: a loss of power may take the last
            ones back, never the file's integrity; ``off``: for a file on tmpfs.
        retention: how much of the past is kept for watches.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create: bool = True,
        synchronous: str = "normal",
        retention: Retention | None = None,
    ) -> None:
        if synchronous not in SYNCHRONOUS:
            raise ValueError(f"synchronous: {synchronous!r}: must be one of {', '.join(SYNCHRONOUS)}")
        self._file = SqliteFile(path, create=create, synchronous=synchronous)
        self._doorbell = Doorbell(Path(f"{self._file.path}.watchers"), self._file.data_version)
        self._retention = retention or Retention()

    async def get(self, kind: Kind, namespace: str, name: str) -> Resource:
        key = one_key(kind, namespace, name)
        found = await self._file.read(lambda connection: sqlite_log.find(connection, kind, key))
        if found is None:
            raise NotFound(f"{label(kind, *key)}: does not exist")
        return found

    async def list(self, kind: Kind, namespace: str | None = None) -> Listing:
        wanted = None if namespace is None else kept_in(kind, namespace)
        items, revision = await self._file.read(lambda connection: sqlite_log.find_all(connection, kind, wanted))
        return Listing(items, str(revision))

    def watch(self, kind: Kind, since: str) -> AsyncGenerator[WatchEvent, None]:
        async def read(position: int) -> Batch:
            return await self._file.read(lambda connection: sqlite_log.changes(connection, kind, position))

        return follow(read, self._doorbell, since)

    async def apply(self, document: Mapping[str, Any], *, resource_version: str | None = None) -> Resource:
        draft = admit(document)
        return (await self._write([(draft.kind, draft.key, applying(draft, resource_version))]))[0]

    async def apply_all(self, documents: Iterable[Mapping[str, Any]]) -> Sequence[Resource]:
        """Apply many documents in order, all or nothing, in one transaction.

        About 0.1 ms a document, in which neither the event loop nor another writer gets a turn.
        """
        drafts = [admit(document) for document in documents]
        return await self._write([(draft.kind, draft.key, applying(draft, None)) for draft in drafts])

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        key = one_key(kind, namespace, name)
        return (await self._write([(kind, key, patching(kind, key, patch, resource_version))]))[0]

    async def patch_status(
        self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], *, resource_version: str | None = None
    ) -> Resource:
        key = one_key(kind, namespace, name)
        return (await self._write([(kind, key, patching_status(kind, key, status, resource_version))]))[0]

    async def delete(self, kind: Kind, namespace: str, name: str) -> Resource | None:
        key = one_key(kind, namespace, name)
        await self._write([(kind, key, deleting(kind, key))])
        return None

    async def record(self, event: Event) -> None:
        await self._file.write(lambda connection: sqlite_events.record(connection, event))

    async def events(self, namespace: str | None = None) -> Sequence[Event]:
        found = await self._file.read(sqlite_events.recorded)
        return [event for event in found if namespace in (None, event.namespace)]

    async def close(self) -> None:
        self._file.close()
        self._doorbell.close()

    async def _write(self, edits: Sequence[tuple[Kind, ObjectKey, Edit]]) -> Sequence[Resource]:
        """Carry out edits in one transaction and tell every watcher."""

        def change(connection: sqlite3.Connection) -> Sequence[tuple[Resource, bool]]:
            return [sqlite_log.write(connection, kind, key, edit, self._retention) for kind, key, edit in edits]

        outcomes = await self._file.write(change)
        if any(changed for _, changed in outcomes):
            self._doorbell.tell()
        return [resource for resource, _ in outcomes]
