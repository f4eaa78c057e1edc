from __future__ import annotations

import asyncio

from meshnet.cli.delete import delete_all
from meshnet.model.resource import Kind, Resource
from meshnet.stores.memory import MemoryStore
from tests.cli.objects import topology


class HeldStore(MemoryStore):
    """As a cluster's, where somebody's finalizer holds what is deleted."""

    async def delete(self, kind: Kind, namespace: str, name: str) -> Resource | None:
        left = await self.get(kind, namespace, name)
        metadata = {**left.metadata, "finalizers": ["example.com/guard", "x/y"]}
        return Resource(kind, {**left.document, "metadata": metadata})


def test_what_a_finalizer_holds_is_not_called_deleted() -> None:
    said: list[str] = []

    async def run() -> list[str]:
        store = HeldStore()
        await store.apply(topology("r1"))
        return await delete_all(store, [("default", "r1")], said)

    assert asyncio.run(run()) == []
    (told,) = said
    assert told.startswith("topology default/r1 is to be deleted: it and its links stay until its finalizers are gone")
    assert told.endswith(": example.com/guard, x/y")
