from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import InvalidObject, StoreUnavailable, WatchExpired
from meshnet.model.resource import Kind
from meshnet.stores.sqlite import SqliteStore
from meshnet.stores.sqlite_log import Retention
from meshnet.stores.text import MAX_BYTES, dump
from meshnet.testing.stores.handles import next_change, node, topology

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from meshnet.stores.base import WatchEvent


def log_rows(path: Path) -> list[tuple[int, str]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT revision, name FROM changes ORDER BY revision").fetchall()


async def exhaust(watch: AsyncIterator[WatchEvent]) -> None:
    while True:
        await next_change(watch)


@pytest.mark.parametrize("text", ["", '{"metadata"', "[]", "{}", '{"metadata": null}', "[" * 100_000])
def test_a_document_that_is_damaged_is_told_and_is_not_gone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "store.db"

    async def run() -> None:
        store = SqliteStore(path)
        await store.apply_all([topology("r1"), topology("r2")])
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("UPDATE changes SET document = ? WHERE name = 'r1'", (text,))
        asked = (
            store.get(Kind.TOPOLOGY, "", "r1"),
            store.list(Kind.TOPOLOGY),
            store.apply(topology("r1")),
            next_change(store.watch(Kind.TOPOLOGY, since="0")),
        )
        for ask in asked:
            with pytest.raises(StoreUnavailable, match=r"store\.db: is damaged \(.* is no Topology\)"):
                await ask
        await store.close()

    asyncio.run(run())


def test_the_log_is_bounded_and_objects_outlive_it(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db", retention=Retention(changes=16))
        await store.apply_all([topology("old-1"), topology("old-2"), topology("gone"), node()])
        await store.delete(Kind.TOPOLOGY, "", "gone")
        for index in range(100):
            await store.patch_status(Kind.NODE, "", "n1", {"index": index})
        rows = log_rows(tmp_path / "store.db")
        assert len(rows) <= 16 * 9 // 8 + 3
        assert [name for _, name in rows[:2]] == ["old-1", "old-2"]
        assert {name for _, name in rows[2:]} == {"n1"}
        # An object from below the bound that changes leaves nothing there.
        await store.delete(Kind.TOPOLOGY, "", "old-1")
        changed = await store.patch_status(Kind.TOPOLOGY, "", "old-2", {"a": 1})
        assert sorted(name for _, name in log_rows(tmp_path / "store.db") if name != "n1") == ["old-1", "old-2"]
        assert (await store.list(Kind.TOPOLOGY)).items == [changed]
        with pytest.raises(WatchExpired, match="list again"):
            await next_change(store.watch(Kind.TOPOLOGY, "4"))
        await store.close()

    asyncio.run(run())


def test_the_log_is_bounded_by_size(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db", retention=Retention(volume=100_000))
        await store.apply(topology())
        since = (await store.list(Kind.TOPOLOGY)).revision
        for index in range(50):
            await store.patch_status(Kind.TOPOLOGY, "", "r1", {"filling": str(index) * 10_000})
        assert len(log_rows(tmp_path / "store.db")) <= 12
        assert (await store.get(Kind.TOPOLOGY, "", "r1")).status["filling"] == "49" * 10_000
        with pytest.raises(WatchExpired):
            await next_change(store.watch(Kind.TOPOLOGY, since))
        await store.close()

    asyncio.run(run())


def test_revisions_rise_when_all_is_gone(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db", retention=Retention(changes=1))
        last = 0
        for _ in range(20):
            made = await store.apply(topology())
            await store.delete(Kind.TOPOLOGY, "", "r1")
            revision = int((await store.list(Kind.TOPOLOGY)).revision)
            assert last < int(made.resource_version) < revision
            last = revision
        await store.close()

    asyncio.run(run())


def test_a_slow_watcher_is_told_and_a_list_makes_up_for_it(tmp_path: Path) -> None:
    async def run() -> None:
        writer = SqliteStore(tmp_path / "store.db", retention=Retention(changes=300))
        reader = SqliteStore(tmp_path / "store.db")
        await writer.apply(topology())
        listing = await reader.list(Kind.TOPOLOGY)
        truth = {item.key: item for item in listing.items}
        async with contextlib.aclosing(reader.watch(Kind.TOPOLOGY, listing.revision)) as watch:
            for index in range(1000):
                await writer.apply(topology(f"r{index % 7}", spec={"index": index}))
                if index < 10:
                    event = await next_change(watch)
                    assert event.resource is not None
                    truth[event.resource.key] = event.resource
            with pytest.raises(WatchExpired):
                await exhaust(watch)
        listing = await reader.list(Kind.TOPOLOGY)
        assert sorted(item.spec["index"] for item in listing.items) == list(range(993, 1000))
        async with contextlib.aclosing(reader.watch(Kind.TOPOLOGY, listing.revision)) as watch:
            made = await writer.apply(topology("later"))
            assert (await next_change(watch)).resource == made
        await writer.close()
        await reader.close()

    asyncio.run(run())


def test_apply_all_is_all_or_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db")
        await store.apply(topology("r1"))
        before = await store.list(Kind.TOPOLOGY)
        # Refused at the door; and small enough for it, but not with what the store fills in, when half is written.
        filling = "y" * (MAX_BYTES - 150)
        assert dump(topology("r2", spec={"x": filling}), "")
        for wrong in (topology("WRONG"), topology("r2", spec={"x": filling})):
            with pytest.raises(InvalidObject):
                await store.apply_all([topology("r3"), topology("r1", spec={}), wrong])
            assert await store.list(Kind.TOPOLOGY) == before
        await store.close()

    asyncio.run(run())


def test_finalizers_do_not_hold_an_object(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db")
        await store.apply(topology(metadata={"name": "r1", "finalizers": ["networkop.co.uk/cleanup"]}))
        await store.delete(Kind.TOPOLOGY, "", "r1")
        assert (await store.list(Kind.TOPOLOGY)).items == []
        await store.close()

    asyncio.run(run())
