"""`Peers`: sessions with the daemons of other nodes, and streams between drivers, as one object of the daemon.

Loads gRPC: a daemon that is alone never pays for it, since it does not import this.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from meshnet import __version__
from meshnet.errors import MeshnetError
from meshnet.peers.contact import Liveness, ObservedClock
from meshnet.peers.door import Door
from meshnet.peers.messages import Hello
from meshnet.peers.pins import Pins
from meshnet.peers.pools import Pools
from meshnet.peers.refusals import Refusals
from meshnet.peers.server import PeerServer, SessionCalls
from meshnet.peers.stream_calls import StreamCalls
from meshnet.peers.streams import About
from meshnet.peers.subscribers import SIGN_OF_LIFE_S, Subscribers
from meshnet.peers.subscription import Subscription
from meshnet.peers.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.driver.context import Stream
    from meshnet.model.node_record import NodeRecord
    from meshnet.model.session import Contact, EndState
    from meshnet.model.topology import Endpoint
    from meshnet.peers.book import Book
    from meshnet.peers.identity import Identity
    from meshnet.peers.keyfile import KeyPair

log = logging.getLogger(__name__)

_LOOK_S = 0.1
_RENEW_S = 60.0


class Peers:
    """The daemons of other nodes.

    Args:
        node: this node's name.
        identity: its key and certificates.
        listen: address (``""``: all) and TCP port (0: any) where peers call.
        book: of the ends here and there.
        timeout_s: silence after which a node is dead, seconds.
        grace_s: how long a daemon may be away before what needs it lapses, seconds.
    """

    def __init__(
        self,
        *,
        node: str,
        identity: Identity,
        listen: tuple[str, int],
        book: Book,
        timeout_s: float,
        grace_s: float,
    ) -> None:
        self.port = listen[1]
        self._shown = identity.current
        self._hello = Hello(node, release=__version__)
        self._identity = identity
        self._listen = listen
        self._book = book
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._pins = Pins()
        self._refusals = Refusals()
        self._records: dict[str, NodeRecord] = {}
        self._subscribers = Subscribers()
        self._subscriptions: dict[str, Subscription] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._door = Door(self._pins, self._refusals)
        self._trust = Trust(self._own, self._pins.all)
        self._pools = Pools(self._records, self._pins, self._own)
        self._streams = StreamCalls(self._door, book)
        self._server: PeerServer | None = None
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. May be tried again.

        Raises MeshnetError that names address and port when they cannot be listened on.
        """
        sessions = SessionCalls(self._door, self._hello, self._book, self._subscribers)
        server = PeerServer(self._trust.credentials(), Session=sessions.handle, Stream=self._streams.handle)
        self.port = await server.start(*self._listen)
        self._trust.follow(self._listen[0] or "127.0.0.1", self.port)
        self._server = server
        self._identity.listen(self._renew)
        self._ticker = asyncio.get_running_loop().create_task(self._tick(), name="peers")

    async def stop(self) -> None:
        """End every session and stop listening; peers see a daemon that is away. None begins after that."""
        server, self._server = self._server, None
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait({self._ticker})
        subscriptions, self._subscriptions = self._subscriptions, {}
        for subscription in subscriptions.values():
            self._end(subscription)
        if self._ending:
            await asyncio.wait(self._ending)
        await self._trust.stop()
        await self._pools.close()
        await self._door.stop()
        if server is not None:
            await server.stop()
        await self._streams.stop()

    def record(self, name: str, record: NodeRecord | None) -> None:
        """Take a node's record, or that it has gone: from now on its certificates, its address and its port hold."""
        if record is None:
            self._records.pop(name, None)
        else:
            self._records[name] = record
        broken = self._pins.set(name, record.certificates if record is not None else ())
        if broken:
            log.warning("the record of node %s holds %d that are no certificates", name, broken)
        self._trust.changed()
        self._door.check()
        self._pools.check(name)
        subscription = self._subscriptions.get(name)
        if subscription is not None:
            subscription.set_record(record)

    def want(self, nodes: frozenset[str]) -> None:
        """Hold sessions with exactly these nodes: those that a link leads to; with none once it is stopped."""
        if self._server is None:
            return
        for node in self._subscriptions.keys() - nodes:
            self._end(self._subscriptions.pop(node))
        for node in nodes - self._subscriptions.keys():
            liveness = Liveness(_silence_s(self._timeout_s), self._grace_s)
            held = Subscription(
                node, hello=self._hello, own=self._own, pins=self._pins, book=self._book, liveness=liveness
            )
            held.set_record(self._records.get(node))
            self._subscriptions[node] = held

    def announce(self, node: str, endpoint: Endpoint, state: EndState | None) -> None:
        """Tell a node of an end here, at once if it listens; else it is told with everything when it does."""
        self._subscribers.announce(node, endpoint, state)

    async def open_stream(self, driver: str, local: Endpoint, peer: Endpoint, node: str, *, limit_s: float) -> Stream:
        """Open a stream from an end here to an end of a node; what it admits, it serves.

        Waits up to `limit_s` seconds while that may become possible.

        Raises LinkError with the reason ``PeerUnreachable``, ``PeerNotReady`` or ``StreamRefused``.
        """
        return await self._pools.open(About(driver, local, peer), node, limit_s)

    def contacts(self) -> Mapping[str, tuple[Contact, str]]:
        """Return how this daemon stands with each node that it holds a session with, and why, if there is trouble."""
        return {node: (held.contact, held.why) for node, held in self._subscriptions.items()}

    def refused(self) -> Mapping[str, int]:
        """Return how many calls were refused, by reason."""
        return self._refusals.counts()

    @property
    def connections(self) -> int:
        """How many were taken; of one whose certificate no record holds nothing else is known: it ends within gRPC."""
        return self._trust.connections

    def _own(self) -> KeyPair:
        return self._identity.current

    def _end(self, subscription: Subscription) -> None:
        task = asyncio.get_running_loop().create_task(subscription.stop())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _renew(self) -> None:
        if self._shown == self._identity.current:
            return
        self._shown = self._identity.current
        self._trust.changed()
        for subscription in self._subscriptions.values():
            subscription.renew()
        self._pools.check_all()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        clock = ObservedClock(2 * _LOOK_S, loop.time())
        since_renewal = _RENEW_S
        while True:
            await asyncio.sleep(_LOOK_S)
            passed = clock.look(loop.time())
            for subscription in tuple(self._subscriptions.values()):
                self._look(subscription, passed)
            since_renewal += passed
            if since_renewal >= _RENEW_S:
                since_renewal = 0.0
                self._advance()

    def _look(self, subscription: Subscription, passed_s: float) -> None:
        try:
            subscription.passes(passed_s)
        except Exception:
            # What follows from a contact goes deep; the other nodes are watched all the same.
            log.exception("what became of node %s is not dealt with", subscription.node)

    def _advance(self) -> None:
        try:
            self._identity.advance()
        except (OSError, MeshnetError) as error:
            log.error("this node's certificate cannot be renewed: %s", error)
        except Exception:
            log.exception("this node's certificate cannot be renewed")  # and peers are watched all the same


def _silence_s(timeout_s: float) -> float:
    """Return after which silence a node is dead, so that its links have lost their carrier in time, seconds.

    It is found out at a look. A node that hears nothing any more is still heard once: a sign of life was due.
    """
    return max(min(timeout_s, 2 * SIGN_OF_LIFE_S), timeout_s - SIGN_OF_LIFE_S - 1.5 * _LOOK_S)
