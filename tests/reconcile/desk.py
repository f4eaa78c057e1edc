"""What writes the status of a node's pods, for tests of what is written and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from meshnet.model.resource import Kind
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.publish import Publisher
from meshnet.reconcile.table import Table
from meshnet.reconcile.writer import StatusWriter
from tests.reconcile.fakes import Identifiers
from tests.reconcile.parts import keeper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.reconcile.made import NotingStore


class Desk:
    """A node's publisher with all that it looks at; the cache follows nothing."""

    def __init__(self, store: NotingStore, node: str = "n1") -> None:
        self.store = store
        self.node = node
        self.table = Table()
        self.cache = TopologyCache(store, lambda _: None)
        writer = StatusWriter(
            store,
            self.cache,
            self.table,
            carrier=keeper(self.table),
            identifiers=cast("Any", Identifiers()),
            node=node,
            node_ip="192.0.2.1",
        )
        self.publisher = Publisher(writer, self.table)

    async def status(self, name: str = "r1") -> Mapping[str, Any]:
        return (await self.store.get(Kind.TOPOLOGY, "default", name)).status
