from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from meshnet.cli.apply import apply_one
from meshnet.cli.delete import delete_all
from meshnet.model.resource import Kind, Resource
from meshnet.stores.memory import MemoryStore
from tests.cli.objects import link, topology

if TYPE_CHECKING:
    from collections.abc import Mapping


class HeldStore(MemoryStore):
    """As a cluster's, where somebody's finalizer holds what is deleted."""

    async def delete(self, kind: Kind, namespace: str, name: str) -> Resource | None:
        return going(await self.get(kind, namespace, name))

    async def apply(self, document: Mapping[str, Any]) -> Resource:
        return going(await super().apply(document))


def going(topology: Resource) -> Resource:
    more = {"deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": ["example.com/guard", "x/y"]}
    return Resource(topology.kind, {**topology.document, "metadata": {**topology.metadata, **more}})


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


def test_what_is_applied_to_a_topology_that_is_to_be_deleted_is_not_called_done() -> None:
    """The file is as it was; still the Topology will not be there for long."""

    async def run() -> list[str]:
        store = HeldStore()
        await store.apply(topology("r1"))
        return [await apply_one(store, topology("r1", *links)) for links in ([], [link(1, "r2", "eth1")])]

    end = ", but is to be deleted: it and its links stay until its finalizers are gone: example.com/guard, x/y"
    assert asyncio.run(run()) == [f"unchanged{end}", f"changed{end}"]
