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
        """As `KubernetesStore` says: odd fields in spec and status alone, no nulls in what a patch replaces."""
        fitting = {field: value for field, value in document.items() if field != "odd"}
        if isinstance(metadata := fitting.get("metadata"), dict):
            known = {field: value for field, value in metadata.items() if field != "odd"}
            fitting["metadata"] = {field: value for field, value in known.items() if field != "labels" or value}
        if "kind" not in document:
            return {field: without_nulls(value) for field, value in fitting.items()}
        # To the API a spec that is null is another than none; to us it is the same.
        return {field: value for field, value in fitting.items() if field != "spec" or value is not None}


def without_nulls(value: Any, *, replaces: bool = False) -> Any:
    """A patch without the nulls in its lists, which as a whole replace what was there."""
    if isinstance(value, list):
        return [without_nulls(part, replaces=True) for part in value]
    if not isinstance(value, dict):
        return value
    parts = {name: without_nulls(part, replaces=replaces) for name, part in value.items()}
    return {name: part for name, part in parts.items() if part is not None or not replaces}


@pytest.mark.usefixtures("machine_server")
class TestKubernetesAgainstTheModel(KubernetesMachine.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=20, stateful_step_count=30, phases=(Phase.generate,))
