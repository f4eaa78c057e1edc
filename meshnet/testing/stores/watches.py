"""What a watch shows."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from meshnet.errors import StoreUnavailable, WatchExpired
from meshnet.model.resource import Kind
from meshnet.stores.base import Change, Store
from meshnet.testing.stores.handles import Suite, next_change, node, topology, two_handles


class WatchTests(Suite):
    """watch."""

    @two_handles
    async def test_a_watch_shows_each_change_in_order(self, one: Store, other: Store) -> None:
        since = (await one.list(Kind.TOPOLOGY)).revision
        async with contextlib.aclosing(other.watch(Kind.TOPOLOGY, since)) as watch:
            waiting = asyncio.create_task(next_change(watch))
            await asyncio.sleep(0.01)
            made = await one.apply(topology())
            await one.apply(node())
            changed = await one.patch_status(Kind.TOPOLOGY, "default", "r1", {"node": "n1"})
            await one.delete(Kind.TOPOLOGY, "default", "r1")
            first, second, third = await waiting, await next_change(watch), await next_change(watch)
        assert (first.change, first.resource) == (Change.ADDED, made)
        assert (second.change, second.resource) == (Change.MODIFIED, changed)
        assert third.change is Change.DELETED
        assert third.resource is not None
        assert (third.resource.uid, third.resource.status) == (made.uid, {"node": "n1"})

    @two_handles
    async def test_a_watch_goes_on_from_a_revision(self, one: Store, other: Store) -> None:
        since = (await one.list(Kind.TOPOLOGY)).revision
        names = [f"r{index}" for index in range(600)]
        for name in names:
            await one.apply(topology(name))
        seen: list[str | None] = []
        for stop in (1, 2, 300, 600):
            async with contextlib.aclosing(other.watch(Kind.TOPOLOGY, since)) as watch:
                while len(seen) < stop:
                    event = await next_change(watch)
                    since = event.revision
                    seen.append(event.resource.name if event.resource else None)
        assert seen == names

    @two_handles
    async def test_list_then_watch_has_no_gap_and_no_repetition(self, one: Store, other: Store) -> None:
        async def write() -> None:
            for index in range(200):
                await one.patch_status(Kind.TOPOLOGY, "default", "r1", {"index": index})
                await asyncio.sleep(0)

        await one.apply(topology())
        writing = asyncio.create_task(write())
        await asyncio.sleep(0.005)
        listing = await other.list(Kind.TOPOLOGY)
        seen = [listing.items[0].status.get("index", -1)]
        async with contextlib.aclosing(other.watch(Kind.TOPOLOGY, listing.revision)) as watch:
            while seen[-1] < 199:
                event = await next_change(watch)
                seen.append(event.resource.status["index"] if event.resource else None)
        await writing
        assert seen == list(range(seen[0], 200))

    @two_handles
    async def test_a_place_that_is_not_in_the_log(self, one: Store, other: Store) -> None:
        await one.apply(topology())
        for since in ("999999", "9" * 20, "9" * 5000, "nonsense", "-1", ""):
            with pytest.raises(WatchExpired, match="list again"):
                await next_change(other.watch(Kind.TOPOLOGY, since))

    @two_handles
    async def test_a_cancelled_watch_leaves_nothing(self, one: Store, other: Store) -> None:
        watch = other.watch(Kind.TOPOLOGY, (await one.list(Kind.TOPOLOGY)).revision)
        waiting = asyncio.create_task(next_change(watch))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
        await one.apply(topology())

    @two_handles
    async def test_a_watch_ends_when_its_store_is_closed(self, one: Store, other: Store) -> None:
        watch = other.watch(Kind.TOPOLOGY, (await one.list(Kind.TOPOLOGY)).revision)
        waiting = asyncio.create_task(next_change(watch))
        await asyncio.sleep(0.01)
        await other.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await waiting
