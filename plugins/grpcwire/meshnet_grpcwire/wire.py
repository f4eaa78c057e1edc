"""A wire: one end of a link, its port's socket and the stream that carries its frames at the time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import MeshnetError, StreamEnded
from meshnet_grpcwire.path import STREAM_LOST
from meshnet_grpcwire.port_socket import PortSocket
from meshnet_grpcwire.segment import Limits

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from logging import Logger

    from meshnet.driver import LinkEnd, Peer, Stream
    from meshnet.model.topology import Endpoint
    from meshnet_grpcwire.counters import Counters
    from meshnet_grpcwire.path import Path
    from meshnet_grpcwire.pumps import Pumps

STALE_S = 1.0
"""Frames that have waited longer for a stream than this are not sent any more: a cable does not keep them either."""


@attrs.frozen
class Route:
    """What a wire is between; with another route it is another wire."""

    ifindex: int
    peer: Endpoint
    node: str
    epoch: int
    alias: str

    @classmethod
    def of(cls, link: LinkEnd, peer: Peer) -> Route:
        assert link.port is not None
        assert link.peer is not None
        return cls(link.port.ifindex, link.peer, peer.node, peer.epoch, link.alias)


class Wire:
    """An end at work. One stream carries it at a time; a later one takes over from an earlier.

    Attributes:
        route: what it is between.
        link: as it was patched last.
        counters: outlive the wire.
        path: tells how it is.
        limits: of its frames.

    Raises KernelError when its port's socket cannot be opened.
    """

    def __init__(
        self,
        link: LinkEnd,
        route: Route,
        pumps: Pumps,
        path: Path,
        *,
        counters: Counters,
        log: Logger,
        buffer: int,
        closer: Executor,
    ) -> None:
        self.link = link
        self.route = route
        self.counters = counters
        self._pumps = pumps
        self.path = path
        self.limits = Limits()
        self._log = log
        self._port = PortSocket(route.ifindex, buffer=buffer, closer=closer)
        self._dropped_before = counters.sent_dropped_backlog
        self._carrying: asyncio.Task[None] | None = None
        self._since = asyncio.get_running_loop().time()
        self._closed = False

    async def serve(self, stream: Stream) -> None:
        """Carry frames by `stream` until it ends, a later one takes over, or the wire is closed; then end it."""
        with contextlib.closing(stream):
            await self._end()
            if self._closed:
                return
            carrying = self._carrying = asyncio.ensure_future(self._carry(stream))
            carrying.add_done_callback(self._ended)
            try:
                await asyncio.wait({carrying})
            finally:
                _cancel(carrying)

    async def close(self) -> None:
        """End the stream and the socket. Idempotent."""
        self._closed = True
        self.path.close()
        await self._end()
        self.count()
        await self._port.close()

    def count(self) -> Counters:
        """Return the counters, up to date."""
        self.counters.sent_dropped_backlog = self._dropped_before + self._port.dropped()
        return self.counters

    async def _carry(self, stream: Stream) -> None:
        self.counters.streams += 1
        self.path.back()
        await self._port.resume(fresh=asyncio.get_running_loop().time() - self._since > STALE_S)
        with contextlib.suppress(StreamEnded):
            await self._pumps.carry(self._port, stream, self.counters, self.limits)

    async def _end(self) -> None:
        """End what carries the wire, also what takes over meanwhile."""
        while self._carrying is not None:
            _cancel(self._carrying)
            await asyncio.wait({self._carrying})

    def _ended(self, carrying: asyncio.Task[None]) -> None:
        self._carrying = None
        self._since = asyncio.get_running_loop().time()
        if not self._closed:
            self._port.park()
            self.path.lost(STREAM_LOST)
        error = None if carrying.cancelled() else carrying.exception()
        if error is not None:
            expected = isinstance(error, MeshnetError | OSError)
            told = None if expected else error
            self._log.warning("%s: the stream to node %s: %s", self.link.local, self.route.node, error, exc_info=told)


def _cancel(task: asyncio.Task[None]) -> None:
    """Cancel a task that may be cancelled already: a second time would disturb its tidying up."""
    if not task.cancelling():
        task.cancel()
