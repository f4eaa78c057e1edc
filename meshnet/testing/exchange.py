"""Streams between the drivers of a test's nodes: what core's channel between daemons is to them, within one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

import attrs

from meshnet.driver import AcceptsStreams
from meshnet.errors import LinkError, StreamEnded
from meshnet.testing.pipe import PipeEnd, pipe

if TYPE_CHECKING:
    from concurrent.futures import Future

    from meshnet.driver import LinkEnd, Stream
    from meshnet.model.topology import Endpoint
    from meshnet.testing.bench import Bench

OPEN_S = 10.0
"""How long the opening of a stream waits for the peer, as core does."""
_POLL_S = 0.01

log = logging.getLogger(__name__)


@attrs.define(eq=False)
class _Opened:
    nodes: frozenset[str]
    ends: tuple[PipeEnd, PipeEnd]
    serving: Future[None]


class Exchange:
    """Opens streams between benches, and cuts them."""

    def __init__(self) -> None:
        self._benches: dict[str, Bench] = {}
        self._cut: set[str] = set()
        self._opened: list[_Opened] = []
        # Each driver opens in its own thread, and the test cuts in another.
        self._lock = threading.Lock()

    def join(self, bench: Bench) -> None:
        """Let a bench's driver open and accept streams."""
        self._benches[bench.node.name] = bench

    def leave(self, node: str) -> None:
        """Let nothing more be opened to a node, whose bench ends."""
        with self._lock:
            self._benches.pop(node, None)

    def cut(self, node: str) -> None:
        """End the streams of a node; none can be opened until `mend`."""
        with self._lock:
            self._cut.add(node)
        self.drop(node)

    def mend(self, node: str) -> None:
        self._cut.discard(node)

    def drop(self, node: str) -> None:
        """End the streams of a node, as the end of its daemon does."""
        with self._lock:
            ending = [opened for opened in self._opened if node in opened.nodes]
            self._opened = [opened for opened in self._opened if node not in opened.nodes]
        for opened in ending:
            for end in opened.ends:
                end.close()
            opened.serving.cancel()

    async def open(self, opener: Bench, link: LinkEnd, peer_node: str) -> Stream:
        """Open a stream as `DriverContext.stream` says. Raises LinkError."""
        deadline = time.monotonic() + OPEN_S
        while time.monotonic() < deadline:
            with self._lock:
                stream = self._opened_to(opener, link, peer_node)
            if stream is not None:
                return stream
            await asyncio.sleep(_POLL_S)
        raise LinkError("PeerUnreachable", f"{link.local}: {link.peer} on node {peer_node} is not patched to it")

    def _opened_to(self, opener: Bench, link: LinkEnd, peer_node: str) -> Stream | None:
        """Return a new stream; None while the peer is not patched, or cannot be reached. Raises LinkError."""
        nodes = frozenset({opener.node.name, peer_node})
        acceptor = self._benches.get(peer_node)
        if acceptor is None or link.peer is None or nodes & self._cut or not _patched_to(acceptor, link):
            return None
        driver = acceptor.driver
        if not isinstance(driver, AcceptsStreams):
            raise LinkError("StreamRefused", f"{link.local}: {driver.name} on node {peer_node} accepts none")
        near, far = pipe()
        serving = acceptor.spawn(_serve(driver, link.peer, link.local, far))
        # One that is over is forgotten: it would count as what the driver has left.
        self._opened = [opened for opened in self._opened if not opened.serving.done()]
        self._opened.append(_Opened(nodes, (near, far), serving))
        return near


def _patched_to(bench: Bench, link: LinkEnd) -> bool:
    there = None if link.peer is None else bench.patched.get(link.peer)
    return there is not None and there.peer == link.local


async def _serve(driver: AcceptsStreams, local: Endpoint, peer: Endpoint, stream: PipeEnd) -> None:
    with contextlib.closing(stream), contextlib.suppress(StreamEnded):
        try:
            await driver.accept_stream(local, peer, stream)
        except (StreamEnded, asyncio.CancelledError):
            raise
        except Exception:
            log.exception("%s: accept_stream of a stream from %s failed", local, peer)
