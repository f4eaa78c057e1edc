"""The cache of nodes' records, on a real store."""

from __future__ import annotations

import asyncio
from typing import Any

from meshnet.model.resource import API_VERSION, Kind
from meshnet.reconcile.nodes import NodeCache
from meshnet.stores.memory import MemoryStore


def record(node: str) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": Kind.NODE.value, "metadata": {"name": node}, "spec": {}}


def test_a_node_that_went_while_nothing_was_told_is_gone_and_no_other_is_told_of_again() -> None:
    """Its certificates count no more from then on."""

    async def main() -> None:
        store, told = MemoryStore(), list[str]()
        cache = NodeCache(store, told.append)
        for node in ("n1", "n2"):
            await store.apply(record(node))
        await cache.relist()
        assert sorted(told) == ["n1", "n2"]
        told.clear()
        await store.delete(Kind.NODE, "", "n2")

        await cache.relist()

        assert told == ["n2"]
        assert [known.name for known in cache.records()] == ["n1"]

    asyncio.run(main())
