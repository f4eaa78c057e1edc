from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable, UsageError
from meshnet.model.resource import Kind
from meshnet.stores.kubernetes.store import KubernetesStore
from meshnet.stores.memory import MemoryStore
from meshnet.stores.open import open_store
from meshnet.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path


def test_memory_is_a_store_in_this_process() -> None:
    assert isinstance(open_store("memory:"), MemoryStore)


@pytest.mark.parametrize("options", ["", "?synchronous=off", "?synchronous=full&create=yes"])
def test_sqlite_is_a_file_made_when_it_is_first_asked(tmp_path: Path, options: str) -> None:
    async def run() -> None:
        store = open_store(f"sqlite:{tmp_path}/store.db{options}")
        assert isinstance(store, SqliteStore)
        assert not (tmp_path / "store.db").exists()
        assert (await store.list(Kind.TOPOLOGY)).items == []
        await store.close()

    asyncio.run(run())
    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_file_that_shall_be_there(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path}/store.db?create=no")
    with pytest.raises(StoreUnavailable, match="does not exist"):
        asyncio.run(store.list(Kind.TOPOLOGY))
    assert list(tmp_path.iterdir()) == []


def test_kubernetes_reads_its_kubeconfig_when_it_is_first_asked(tmp_path: Path) -> None:
    store = open_store(f"kubernetes:?context=x&kubeconfig={tmp_path}/none")
    assert isinstance(store, KubernetesStore)
    with pytest.raises(StoreUnavailable, match=f"kubeconfig {tmp_path}/none, context 'x': no such file"):
        asyncio.run(store.list(Kind.TOPOLOGY))
    asyncio.run(store.close())


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("", "must be memory:, sqlite:PATH"),
        ("kubernetes", "must be memory:"),
        ("kubernetes:x", "kubernetes:[?context=NAME&kubeconfig=PATH]"),
        ("kubernetes:?namespace=x", "the options are context=NAME and kubeconfig=PATH"),
        ("memory", "must be memory:"),
        ("memory:x", "must be memory:"),
        ("etcd:x", "must be memory:"),
        ("sqlite:", "needs the path"),
        ("sqlite:?synchronous=off", "needs the path"),
        ("sqlite:x?synchronous=never", "synchronous=off|normal|full"),
        ("sqlite:x?mode=ro", "mode=ro: the options are"),
        ("sqlite:x?create", "create=: the options are"),
    ],
)
def test_what_names_no_store(spec: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(spec)
    assert text in str(caught.value)
    assert repr(spec) in str(caught.value)
