"""The node's own record in the store: where it is, what it can do. Each daemon writes its own alone."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from meshnet import __version__
from meshnet.backoff import doubling
from meshnet.driver.calls import call
from meshnet.driver.listing import driver_rows
from meshnet.errors import InvalidObject, LinkError, StoreError
from meshnet.model.node_record import decode_node
from meshnet.model.resource import API_VERSION, Kind
from meshnet.model.session import PROTOCOL
from meshnet.stores.cluster import ClusterStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshnet.daemon.settings import Settings
    from meshnet.dispatch.place import Place
    from meshnet.driver.registry import Registry
    from meshnet.model.node_record import NodeRecord
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

SHOWN = ("name", "version", "state", "scopes", "reason")
OFFER_LIMIT_S = 5.0
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
REPAIR_S = 1.0
"""Before a record that somebody changed is put right: two daemons of one name shall not keep a store busy."""
LONGEST_REPAIR_S = 60.0
"""Before a record is put right that vanishes each time it was written."""
SOON_S = 60.0
"""How long after it was written a record has not vanished by itself; a cluster's garbage collector takes less."""


class OwnRecord:
    """Writes this node's record, at first and whenever it is out of date.

    Args:
        settings: of the daemon.
        store: where to.
        registry: the drivers that it tells of.
        place: where this node stands.
        certificates: gives those that peers may know this node by.
        known: set when the other nodes are known. Not before that is it known whether this one needs certificates, and
            a record without them, for a moment, would end its peers' trust.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        registry: Registry,
        place: Place,
        certificates: Callable[[], tuple[str, ...]],
        *,
        known: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._place = place
        self._certificates = certificates
        self._known = known
        self._wanted = asyncio.Event()
        self._written: NodeRecord | None = None
        self._seen: NodeRecord | None = None
        self._seen_meanwhile = False
        self._written_at = 0.0
        self._owner = ""
        self._losses = 0
        self._repair: asyncio.Handle | None = None

    def out_of_date(self) -> None:
        """Have it written again."""
        self._wanted.set()

    def seen(self, record: NodeRecord | None) -> None:
        """Take note of the record as the store has it: what somebody else made of it is put right in a moment."""
        self._seen, self._seen_meanwhile = record, True
        if self._written is not None and record != self._written and self._repair is None:
            pause = self._pause(vanished=record is None)
            self._repair = asyncio.get_running_loop().call_later(pause, self._put_right)

    def _pause(self, *, vanished: bool) -> float:
        """Return how long to wait before the record is put right, seconds: the longer the oftener it vanished at once.

        A cluster deletes what is owned by a Node that is gone; one that was made anew under its name is another one.
        """
        soon = asyncio.get_running_loop().time() - self._written_at < SOON_S
        self._losses = self._losses + 1 if vanished and soon and self._owner else 0
        if self._losses > 1:
            log.error(
                "the node's record is deleted each time it is written: the Node that this pod's token names (uid %s) "
                "is gone: delete this daemon's pod, so that its successor's token names the one that is",
                self._owner,
            )
        return min(LONGEST_REPAIR_S, REPAIR_S * (1 << min(max(self._losses - 1, 0), 10)))

    def _put_right(self) -> None:
        self._repair = None
        if self._seen != self._written:  # else it was our own, seen before the store had answered
            self.out_of_date()

    async def run(self) -> None:
        """Write the record, as soon as the others are known and whenever it is out of date, for ever."""
        await self._known.wait()
        while True:
            await self._publish()
            await self._wanted.wait()
            self._wanted.clear()

    async def _publish(self) -> None:
        """Write the record, trying until the store takes it."""
        for delay in doubling(FIRST_DELAY_S, LONGEST_DELAY_S):
            try:
                document = await self._document()
                self._seen_meanwhile = False
                self._written = decode_node(await self._store.apply(document))
            except (StoreError, InvalidObject) as error:  # a policy, or an older schema, of the cluster may refuse it
                log.warning("the node's record is not written yet: %s", error)
            else:
                self._note_write(document)
                if self._seen_meanwhile:  # it was not known then what was written
                    self.seen(self._seen)
                return
            await asyncio.sleep(delay)

    def _note_write(self, document: Mapping[str, Any]) -> None:
        owner = next((str(owner["uid"]) for owner in document["metadata"].get("ownerReferences", ())), "")
        if owner != self._owner:  # the pod got a new token
            self._owner, self._losses = owner, 0
        self._written_at = asyncio.get_running_loop().time()

    async def _document(self) -> Mapping[str, Any]:
        place = self._place
        address = place.underlay.address
        default = place.default_driver()
        return {
            "apiVersion": API_VERSION,
            "kind": Kind.NODE.value,
            "metadata": self._metadata(),
            "spec": {
                "addresses": [address] if address else [],
                "port": self._settings.port,
                "certificates": list(self._certificates()),
                "protocol": list(PROTOCOL),
                "version": __version__,
                "underlay_mtu": place.underlay.mtu,
                "link_mtu": place.link_mtu(),
                "default_driver": default.name if default else "",
                "drivers": [await self._driver(row) for row in driver_rows(self._registry)],
            },
        }

    def _metadata(self) -> dict[str, Any]:
        """Whose record it is. In a cluster it is owned by its Node, so that the trust in it goes with that."""
        node = self._settings.node
        owners = self._store.node_owners(node) if isinstance(self._store, ClusterStore) else ()
        return {"name": node, **({"ownerReferences": list(owners)} if owners else {})}

    async def _driver(self, row: dict[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = {field: row[field] for field in SHOWN if field in row}
        entry = self._registry.find(row["name"])
        if entry is None or entry.unusable:
            return shown
        try:
            shown["offer"] = dict(await call(entry.driver, "node_offer", limit_s=OFFER_LIMIT_S))
            limit = self._place.limit(entry.driver)
        except LinkError as error:
            shown |= {"state": "unusable", "reason": str(error)}
        else:
            if limit is not None:
                shown["mtu_limit"] = limit
        return shown
