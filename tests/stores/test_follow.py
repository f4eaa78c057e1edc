from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import WatchExpired
from meshnet.model.resource import Kind
from meshnet.stores.base import Change
from meshnet.stores.follow import BOOKMARK_EVERY, check_place, parse_revision
from meshnet.stores.memory import MemoryStore
from meshnet.testing.stores.handles import LIMIT_S, next_change, node, topology

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meshnet.stores.base import WatchEvent


async def soon(watch: AsyncIterator[WatchEvent]) -> WatchEvent:
    return await asyncio.wait_for(anext(watch), LIMIT_S)


def test_a_bookmark_comes_when_the_watch_has_caught_up() -> None:
    async def run() -> None:
        store = MemoryStore()
        await store.apply(topology())
        async with contextlib.aclosing(store.watch(Kind.TOPOLOGY, "0")) as watch:
            changes = [(await soon(watch)).change for _ in range(2)]
        assert changes == [Change.ADDED, Change.BOOKMARK]

    asyncio.run(run())


def test_a_bookmark_comes_when_others_have_moved_on() -> None:
    async def run() -> None:
        store = MemoryStore(retention=BOOKMARK_EVERY + 10)
        await store.apply(node())
        async with contextlib.aclosing(store.watch(Kind.TOPOLOGY, "1")) as watch:
            assert (await soon(watch)).revision == "1"
            waiting = asyncio.create_task(soon(watch))
            for index in range(2 * BOOKMARK_EVERY):
                await store.patch_status(Kind.NODE, "", "n1", {"index": index})
                await asyncio.sleep(0)
            event = await waiting
        assert event.change is Change.BOOKMARK
        # Without it the place where the watch stood would be forgotten by now.
        async with contextlib.aclosing(store.watch(Kind.TOPOLOGY, event.revision)) as watch:
            made = await store.apply(topology())
            assert (await next_change(watch)).resource == made
        with pytest.raises(WatchExpired):
            await soon(store.watch(Kind.TOPOLOGY, "1"))

    asyncio.run(run())


def test_a_watcher_that_fell_behind_is_told_so() -> None:
    async def run() -> None:
        store = MemoryStore(retention=5)
        made = await store.apply(topology())
        async with contextlib.aclosing(store.watch(Kind.TOPOLOGY, made.resource_version)) as watch:
            assert (await soon(watch)).change is Change.BOOKMARK
            for index in range(6):
                await store.patch_status(Kind.TOPOLOGY, "", "r1", {"index": index})
            with pytest.raises(WatchExpired, match="list again"):
                await soon(watch)

    asyncio.run(run())


@pytest.mark.parametrize("since", ["", "x", "-1", "1.0", " 1", "²", "٣", "9" * 19, "9" * 5000])
def test_revisions_that_are_none(since: str) -> None:
    with pytest.raises(WatchExpired):
        parse_revision(since)


def test_the_ends_of_the_log() -> None:
    check_place(3, 3, 5)
    check_place(5, 3, 5)
    for position in (2, 6):
        with pytest.raises(WatchExpired, match=f"revision {position} "):
            check_place(position, 3, 5)
