"""Every node's record, as the store last told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshnet.model.node_record import decode_node
from meshnet.model.resource import Kind, ObjectKey
from meshnet.reconcile.follow import follow

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.model.node_record import NodeRecord
    from meshnet.model.resource import Resource
    from meshnet.stores.base import Store


class NodeCache:
    """Records by node; `changed` is called with the name of each that means something new."""

    def __init__(self, store: Store, changed: Callable[[str], None]) -> None:
        self._store = store
        self._changed = changed
        self._records: dict[str, NodeRecord] = {}
        self.synced = asyncio.Event()

    def record(self, node: str) -> NodeRecord | None:
        return self._records.get(node)

    def records(self) -> list[NodeRecord]:
        return list(self._records.values())

    async def run(self) -> None:
        """Follow the store for ever."""
        await follow(self._store, Kind.NODE, self)

    async def relist(self) -> str:
        listing = await self._store.list(Kind.NODE)
        for resource in listing.items:
            self.take(resource)
        for name in self._records.keys() - {resource.name for resource in listing.items}:
            self.drop(("", name))
        self.synced.set()
        return listing.revision

    def take(self, resource: Resource) -> None:
        record = decode_node(resource)
        if self._records.get(record.name) != record:
            self._records[record.name] = record
            self._changed(record.name)

    def drop(self, key: ObjectKey) -> None:
        if self._records.pop(key[1], None) is not None:
            self._changed(key[1])
