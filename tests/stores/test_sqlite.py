from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.stores.sqlite import SqliteStore
from meshnet.testing.stores import StoreTests

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshnet.stores.base import Store


class TestSqliteStore(StoreTests):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Callable[[], Store]:
        return lambda: SqliteStore(tmp_path / "store.db")
