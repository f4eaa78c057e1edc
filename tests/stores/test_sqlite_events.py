from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshnet.stores.base import Event, Store
from meshnet.stores.memory import MemoryStore
from meshnet.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_newest_events_are_kept(tmp_path: Path, kind: str) -> None:
    async def run() -> None:
        store: Store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "store.db", synchronous="off")
        lasting = Event("Topology default/r1", "Warning", "Lasting", "again and again", "meshnetd n1")
        for index in range(10_200):
            await store.record(Event("Topology default/r1", "Normal", "Up", f"message {index}", "meshnetd n1"))
            if index % 1000 == 0:
                await store.record(lasting)
        events = await store.events()
        assert len(events) == 10_000
        assert events[-1].message == "message 10199"
        # What repeats stays, with all of its count, although it was first seen long ago.
        assert [event.count for event in events if event.reason == "Lasting"] == [11]
        await store.close()

    asyncio.run(run())


def test_repeating_one_event_pushes_no_other_out(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db", synchronous="off")
        rare = Event("Topology default/r1", "Normal", "Up", "all links are up", "meshnetd n1")
        await store.record(rare)
        for _ in range(10_100):
            await store.record(Event("Topology default/r2", "Warning", "Flapping", "again", "meshnetd n1"))
        assert [event.count for event in await store.events()] == [1, 10_100]
        await store.close()

    asyncio.run(run())
