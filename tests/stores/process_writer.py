"""A process that writes to a store and says on stdout what was acknowledged: NAME COUNTER, a line each.

Arguments: the file, a name of its own, how many objects, how many writes (0: until it is killed).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from meshnet.model.resource import Kind
from meshnet.stores.sqlite import SqliteStore
from meshnet.testing.stores.handles import topology


async def run(path: str, own: str, objects: int, writes: int) -> None:
    store = SqliteStore(path)
    for counter in itertools.count(1) if writes == 0 else range(1, writes + 1):
        name = f"{own}-{counter % objects}"
        if counter <= objects:
            await store.apply(topology(name))
        # Long enough for several pages, so that a kill finds transactions that are half written.
        await store.patch_status(Kind.TOPOLOGY, "default", name, {"counter": counter, "filling": str(counter) * 2000})
        os.write(1, f"{name} {counter}\n".encode())
    await store.close()


asyncio.run(run(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
