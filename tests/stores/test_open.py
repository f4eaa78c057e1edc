from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable, UsageError
from meshnet.model.resource import Kind
from meshnet.stores.memory import MemoryStore
from meshnet.stores.open import open_store
from meshnet.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path


def test_memory() -> None:
    assert isinstance(open_store("memory:"), MemoryStore)


@pytest.mark.parametrize("options", ["", "?synchronous=off", "?synchronous=full&create=yes"])
def test_sqlite(tmp_path: Path, options: str) -> None:
    async def run() -> None:
        store = open_store(f"sqlite:{tmp_path}/store.db{options}")
        assert isinstance(store, SqliteStore)
        assert store.path == tmp_path / "store.db"
        assert not store.path.exists()
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


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("", "must be memory: or sqlite:PATH"),
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
