"""Handles on one store's data, objects to put there, and coroutines as tests."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.model.resource import API_VERSION
from meshnet.stores.base import Change

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from meshnet.stores.base import Store, WatchEvent

    Opener = Callable[[], Store]

LIMIT_S = 15.0
"""How long anything in the suite may take."""


def topology(name: str = "r1", namespace: str = "default", **fields: Any) -> dict[str, Any]:
    """A Topology as a user writes it; `fields` replace or add top-level fields."""
    links = [{"uid": 1, "peer_pod": "r2", "local_intf": "eth1", "peer_intf": "eth1"}]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": "Topology", "metadata": metadata, "spec": {"links": links}} | fields


def node(name: str = "n1") -> dict[str, Any]:
    """A node record."""
    return {"apiVersion": API_VERSION, "kind": "MeshNode", "metadata": {"name": name}, "spec": {"address": "192.0.2.1"}}


async def next_change(watch: AsyncIterator[WatchEvent]) -> WatchEvent:
    """The next event of a watch that is no bookmark; fails after `LIMIT_S`."""
    while True:
        event = await asyncio.wait_for(anext(watch), LIMIT_S)
        if event.change is not Change.BOOKMARK:
            return event


@contextlib.asynccontextmanager
async def opened(opener: Opener, handles: int = 2) -> AsyncGenerator[list[Store], None]:
    """Handles on the same data, closed at the end; fails when that leaves a task behind."""
    stores = [opener() for _ in range(handles)]
    try:
        yield stores
    finally:
        for store in stores:
            await store.close()
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"


def two_handles(test: Callable[[Any, Store, Store], Awaitable[None]]) -> Callable[[Any, Opener], None]:
    """Make a test of a coroutine that takes two handles on the same, empty data."""

    @functools.wraps(test)
    def run(self: object, opener: Opener) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(LIMIT_S), opened(opener) as (one, other):
                await test(self, one, other)

        asyncio.run(bounded())

    del run.__wrapped__  # pytest would ask for the coroutine's arguments
    return run


class Suite:
    """Base of the suites.

    Attributes:
        alone: nobody but the test writes to the store, so its revision stands still when the test does.
    """

    alone = True

    @pytest.fixture
    def opener(self, tmp_path: Any) -> Opener:
        """How to open one more handle on the data of this test, which is empty at first."""
        raise NotImplementedError
