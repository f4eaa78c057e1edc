from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.stores.memory import MemoryStore
from meshnet.testing.stores import StoreTests

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.stores.base import Store


class TestMemoryStore(StoreTests):
    @pytest.fixture
    def opener(self) -> Callable[[], Store]:
        store = MemoryStore()
        return lambda: store
