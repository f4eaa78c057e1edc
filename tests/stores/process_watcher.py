"""A process that watches a store and says on stdout what it sees: ``ready``, then NAME COUNTER, a line each.

Arguments: the file, and after how many status writes to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from meshnet.model.resource import Kind
from meshnet.stores.base import Change
from meshnet.stores.sqlite import SqliteStore


async def run(path: str, writes: int) -> None:
    store = SqliteStore(path)
    revision = (await store.list(Kind.TOPOLOGY)).revision
    async with contextlib.aclosing(store.watch(Kind.TOPOLOGY, revision)) as watch:
        async for event in watch:
            if event.change is Change.BOOKMARK and revision:
                print("ready", flush=True)
                revision = ""
            if event.resource is not None and "counter" in event.resource.status:
                print(event.resource.name, event.resource.status["counter"], flush=True)
                writes -= 1
            if not writes:
                break
    await store.close()


asyncio.run(run(sys.argv[1], int(sys.argv[2])))
