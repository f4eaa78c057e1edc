"""Command lines run in this process, against a real store in a file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from meshnet.cli.main import main
from meshnet.model.resource import Kind
from meshnet.stores.open import open_store
from tests.cli.objects import told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from meshnet.stores.base import Store


@attrs.frozen
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str


@attrs.frozen
class Machine:
    """A node without a daemon: a store, and a way to run commands on it."""

    store_url: str
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> Ran:
        self.capture.readouterr()
        code = main(arguments)
        return Ran(code, *self.capture.readouterr())

    def store(self, function: Callable[[Store], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            store = open_store(self.store_url)
            try:
                return await function(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def apply(self, *documents: dict[str, Any]) -> None:
        """Have these Topologies in the store."""
        self.store(lambda store: store.apply_all(documents))

    def write_status(self, name: str, entry: dict[str, Any], state: str, **more: Any) -> None:
        """Do as the daemon of node n1 does."""

        async def write(store: Store) -> None:
            now = await store.get(Kind.TOPOLOGY, "default", name)
            status = {"node": "n1", "observedGeneration": now.generation, "links": [told(entry, state, **more)]}
            await store.patch_status(Kind.TOPOLOGY, "default", name, status)

        self.store(write)


@pytest.fixture(autouse=True)
def no_target(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test finds a lab, a node or a kubeconfig of the machine it runs on."""
    names = ("MESHNET_LAB", "MESHNET_STORE", "MESHNET_SOCKET", "NO_COLOR", "KUBECONFIG", "KUBERNETES_SERVICE_HOST")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MESHNET_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setattr("meshnet.lab.record._ROOT_DIRECTORY", tmp_path / "labs")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Machine:
    url = f"sqlite:{tmp_path}/store.db"
    monkeypatch.setenv("MESHNET_STORE", url)
    return Machine(url, capsys)
