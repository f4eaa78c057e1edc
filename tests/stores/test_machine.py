from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings

from meshnet.stores.sqlite import SqliteStore
from meshnet.testing.stores.machine import StoreMachine

if TYPE_CHECKING:
    from meshnet.stores.base import Store


class SqliteMachine(StoreMachine):
    def open_handles(self) -> tuple[Store, Store]:
        self.directory = tempfile.TemporaryDirectory()
        path = Path(self.directory.name) / "store.db"
        return SqliteStore(path, synchronous="off"), SqliteStore(path, synchronous="off")

    def teardown(self) -> None:
        super().teardown()
        assert list((Path(self.directory.name) / "store.db.watchers").glob("*")) == []
        self.directory.cleanup()


class TestSqliteAgainstTheModel(SqliteMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=50, stateful_step_count=40)
