"""What every store promises, as tests.

A store's own test file subclasses `StoreTests` and says how a handle on its data is opened::

    class TestSqliteStore(StoreTests):
        @pytest.fixture
        def opener(self, tmp_path):
            return lambda: SqliteStore(tmp_path / "store.db")

`meshnet.testing.stores.machine` compares a store with the model under random use.
"""

from __future__ import annotations

from meshnet.testing.stores.reads import ReadTests
from meshnet.testing.stores.refusals import RefusalTests
from meshnet.testing.stores.watches import WatchTests
from meshnet.testing.stores.writes import WriteTests


class StoreTests(WriteTests, RefusalTests, ReadTests, WatchTests):
    """All of it; subclass this one."""
