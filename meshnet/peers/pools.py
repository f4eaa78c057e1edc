"""Streams to every node: where each is reached, and that streams outlive the renewal of a certificate."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshnet.backoff import doubling
from meshnet.errors import LinkError
from meshnet.peers import wiring
from meshnet.peers.pool import Pool, Way
from meshnet.peers.probe import Answer, Probed, probe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshnet.model.node_record import NodeRecord
    from meshnet.peers.keyfile import KeyPair
    from meshnet.peers.pins import Pins
    from meshnet.peers.streams import About, CarriedStream

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
_NOWHERE = Probed(Answer.NOTHING)


class Pools:
    """A pool a node that streams were opened to.

    Args:
        records: of every node, as of now.
        pins: what certificates a node may show.
        own: this node's key and certificate as of now.
    """

    def __init__(self, records: Mapping[str, NodeRecord], pins: Pins, own: Callable[[], KeyPair]) -> None:
        self._records = records
        self._pins = pins
        self._own = own
        self._pools: dict[str, Pool] = {}
        self._reached: dict[str, Probed] = {}
        self._closed = False

    async def open(self, about: About, node: str, limit_s: float) -> CarriedStream:
        """Open a stream; try for so long while it may become possible. Raises LinkError."""
        pauses = doubling(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        refused = LinkError("PeerUnreachable", f"node {node} has not answered for {limit_s:.1f} s")
        try:
            async with asyncio.timeout(limit_s):
                while True:
                    try:
                        return await self._open(about, node)
                    except LinkError as error:
                        refused = error
                        if error.reason == "StreamRefused":
                            raise
                    await asyncio.sleep(next(pauses))
        except TimeoutError:
            raise refused from None

    def check(self, node: str) -> None:
        """Have the streams to a node go over connections that its record and this node's identity allow."""
        pool = self._pools.get(node)
        if pool is not None:
            pool.check(lambda: self._way(node))

    def check_all(self) -> None:
        for node in self._pools:
            self.check(node)

    async def close(self) -> None:
        """End every stream, and open none any more."""
        self._closed = True
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    async def _open(self, about: About, node: str) -> CarriedStream:
        record = self._records.get(node)
        if record is None or not record.certificates:
            raise LinkError("PeerUnreachable", f"there is no record of node {node} with a certificate")
        if self._where(node).address not in record.addresses:
            probed = await probe(record.addresses, record.port)
            if probed.answer is not Answer.TAKEN:
                raise LinkError("PeerUnreachable", probed.told(node, record.port))
            self._reached[node] = probed
        if self._closed:
            raise LinkError("PeerUnreachable", "this daemon is stopping")
        way = self._way(node)
        if way is None:
            raise LinkError("PeerUnreachable", f"the record of node {node} changed")
        try:
            stream = await self._pools.setdefault(node, Pool(node)).open(about, way)
        except LinkError as error:
            if error.reason == "PeerUnreachable":
                self._reached.pop(node, None)
            raise
        if self._way(node) != way:
            self.check(node)  # this stream was not there yet when that was done
        return stream

    def _way(self, node: str) -> Way | None:
        record, trusted = self._records.get(node), self._pins.of(node)
        if record is None or not trusted or not record.addresses:
            return None
        reached = self._where(node)
        address = reached.address if reached.address in record.addresses else record.addresses[0]
        try:
            target = wiring.target(address, record.port)
        except ValueError:
            return None
        return Way(target, self._own(), trusted, reached.took_s)

    def _where(self, node: str) -> Probed:
        return self._reached.get(node, _NOWHERE)
