"""A store on a real API server against the model, under random use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, settings

from meshnet.testing.stores.machine import StoreMachine
from tests.cluster.store_server import unhurried, wipe

if TYPE_CHECKING:
    from meshnet.stores.base import Store
    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="class")
def machine_server(request: pytest.FixtureRequest, store_server: ApiServer) -> None:
    KubernetesMachine.server = store_server


class KubernetesMachine(StoreMachine):
    server: ApiServer

    def open_handles(self) -> tuple[Store, Store]:
        wipe(self.server)
        return unhurried(self.server), unhurried(self.server)

    def fit(self, document: dict[str, Any]) -> dict[str, Any]:
        """Metadata has the API's own fields alone, none of them empty; generation rises with any field but metadata."""
        fitting = {field: value for field, value in document.items() if field != "odd"}
        if isinstance(metadata := fitting.get("metadata"), dict):
            known = {field: value for field, value in metadata.items() if field != "odd"}
            fitting["metadata"] = {field: value for field, value in known.items() if field != "labels" or value}
        return fitting


@pytest.mark.usefixtures("machine_server")
class TestKubernetesAgainstTheModel(KubernetesMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=20, stateful_step_count=30, deadline=None, phases=(Phase.generate,))
