"""The node's own record in the store: where it is, what it can do. Each daemon writes its own alone."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from meshnet import __version__
from meshnet.driver.calls import call
from meshnet.driver.listing import driver_rows
from meshnet.errors import LinkError, StoreError
from meshnet.model.resource import API_VERSION, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.daemon.settings import Settings
    from meshnet.driver.registry import Registry
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

SHOWN = ("name", "version", "state", "scopes", "reason")
OFFER_LIMIT_S = 5.0
LONGEST_DELAY_S = 30.0


class NodeRecord:
    """Writes this node's record."""

    def __init__(self, settings: Settings, store: Store, registry: Registry) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry

    async def publish(self) -> None:
        """Write the record, trying until the store takes it."""
        document = await self._document()
        delay = 0.5
        while True:
            try:
                await self._store.apply(document)
            except StoreError as error:
                log.warning("the node's record is not written yet: %s", error)
            else:
                return
            await asyncio.sleep(delay)
            delay = min(LONGEST_DELAY_S, delay * 2)

    async def _document(self) -> Mapping[str, Any]:
        address = self._settings.node_ip
        return {
            "apiVersion": API_VERSION,
            "kind": Kind.NODE.value,
            "metadata": {"name": self._settings.node},
            "spec": {
                "addresses": [address] if address else [],
                "version": __version__,
                "drivers": [await self._driver(row) for row in driver_rows(self._registry)],
            },
        }

    async def _driver(self, row: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = {field: row[field] for field in SHOWN if field in row}
        entry = self._registry.find(row["name"])
        if entry is not None and not entry.unusable:
            try:
                shown["offer"] = dict(await call(entry.driver, "node_offer", limit_s=OFFER_LIMIT_S))
            except LinkError as error:
                shown["reason"] = str(error)
        return shown
