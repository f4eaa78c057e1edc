"""The suite that all stores pass, on a real API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.testing.stores import StoreTests
from tests.cluster.store_server import unhurried, wipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.stores.base import Store
    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster


class TestKubernetesStore(StoreTests):
    alone = False  # the server writes of itself, to the same count

    @pytest.fixture
    def opener(self, store_server: ApiServer) -> Callable[[], Store]:
        wipe(store_server)
        return lambda: unhurried(store_server)
