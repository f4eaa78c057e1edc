"""The connections that streams to one node go over: apart from the session's, and one a stream up to a number."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import attrs
import grpc

from meshnet.driver.told import one_line
from meshnet.errors import LinkError, StreamEnded
from meshnet.peers import wiring
from meshnet.peers.malloc import keep_message_memory
from meshnet.peers.streams import CarriedStream, Leg

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from meshnet.peers.keyfile import KeyPair
    from meshnet.peers.streams import About

    Call = grpc.aio.StreamStreamCall[bytes, bytes]

log = logging.getLogger(__name__)

MOST_CHANNELS = 64
STREAM_ID = "stream-id"

_OPEN_S = 2.0
_TRIES = 10
_AGAIN_S = 0.5
_REASONS = {
    grpc.StatusCode.PERMISSION_DENIED: "StreamRefused",
    grpc.StatusCode.FAILED_PRECONDITION: "PeerNotReady",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "PeerNotReady",
}


@attrs.frozen
class Way:
    """How a node is reached now.

    Attributes:
        target: as gRPC writes it.
        own: what this node shows.
        trusted: what that node may show, PEM by fingerprint; the one in use first.
        took_s: until that node took a connection, seconds.
    """

    target: str
    own: KeyPair
    trusted: Mapping[str, str]
    took_s: float = attrs.field(default=0.0, eq=False)

    @property
    def open_s(self) -> float:
        """How long a stream may take to open, seconds: a connection, TLS and a call go forth and back."""
        return _OPEN_S + 4 * self.took_s

    def goes_on(self, now: Way) -> bool:
        """Tell whether what was opened by this way may stay: nothing that it rests on is going to be given up."""
        in_use = next(iter(self.trusted)) == next(iter(now.trusted))
        return in_use and self.own == now.own and self.trusted.keys() <= now.trusted.keys()


@attrs.define(eq=False)
class _Lane:
    """A connection, and how many calls go over it."""

    channel: grpc.aio.Channel
    way: Way
    calls: int = 0


@attrs.define(eq=False)
class _Held:
    """A stream that is open: where it goes, and what the peer calls it."""

    stream: CarriedStream
    about: About
    lane: _Lane
    call: Call | None = None
    moving: asyncio.Lock = attrs.field(factory=asyncio.Lock)


class Pool:
    """Streams to one node."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._lanes: list[_Lane] = []
        self._held: set[_Held] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, about: About, way: Way) -> CarriedStream:
        """Open a stream.

        Raises LinkError: ``StreamRefused``, or ``PeerNotReady`` and ``PeerUnreachable``, which may change soon.
        """
        keep_message_memory()
        lane = self._lane(way)
        call, name = await self._call(about, lane)
        held = _Held(CarriedStream(_leg(call)), attrs.evolve(about, carries_on=name), lane)
        self._hold(held, call)
        return held.stream

    def check(self, now: Callable[[], Way | None]) -> None:
        """Carry streams on over new connections where theirs are not what the way says; end those it knows nothing of.

        Args:
            now: returns the way as it is, here and when a stream's turn comes; None when the node is known no more.
        """
        way = now()
        for held in tuple(self._held):
            before = held.lane.way
            if way is None or not before.trusted.keys() & way.trusted.keys():
                held.stream.close()
            elif not before.goes_on(way):
                self._start(self._carry_on(held, now))

    async def close(self) -> None:
        """End every stream."""
        for held in tuple(self._held):
            held.stream.close()
        for lane in tuple(self._lanes):
            await lane.channel.close()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _carry_on(self, held: _Held, now: Callable[[], Way | None]) -> None:
        """Carry a stream on over a connection of the way as it is now; end it when that cannot be."""
        async with held.moving:
            for _ in range(_TRIES):
                way = now()
                if way is None or held.stream.over:
                    break
                if held.lane.way.goes_on(way):
                    return  # another turn did it
                lane = self._lane(way)
                try:
                    call, _ = await self._call(held.about, lane)
                except LinkError as error:
                    if error.reason == "StreamRefused":
                        log.warning("a stream ends, since it could not be carried on: %s", error)
                        break
                    await asyncio.sleep(_AGAIN_S)
                else:
                    await self._go_over(held, call, lane)
                    return
            held.stream.close()

    async def _go_over(self, held: _Held, call: Call, lane: _Lane) -> None:
        leg = _leg(call)
        held.lane = lane
        held.stream.follow(leg)
        self._hold(held, call)
        try:
            await held.stream.go_over(leg)
        except StreamEnded:
            call.cancel()

    def _hold(self, held: _Held, call: Call) -> None:
        held.call = call
        self._held.add(held)
        call.add_done_callback(lambda _: self._done(held, call))

    def _done(self, held: _Held, call: Call) -> None:
        if held.call is call:  # and no other carries it on
            self._held.discard(held)

    async def _call(self, about: About, lane: _Lane) -> tuple[Call, str]:
        """Return a call that the peer took, and what it calls the stream. Raises LinkError."""
        lane.calls += 1
        call: Call = lane.channel.stream_stream(f"/{wiring.SERVICE}/Stream")(metadata=about.metadata())
        call.add_done_callback(lambda _: self._left(lane))
        try:
            async with asyncio.timeout(lane.way.open_s):
                metadata = await call.initial_metadata()
                name = dict(metadata or ()).get(STREAM_ID)
                if isinstance(name, str):
                    return call, name
                raise self._refusal(about, await call.code(), await call.details())
        except grpc.aio.AioRpcError as error:
            raise self._refusal(about, error.code(), error.details()) from None
        except TimeoutError:
            call.cancel()
            raise self._refusal(about, None, f"no answer for {lane.way.open_s:.1f} s") from None
        except asyncio.CancelledError:
            call.cancel()
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise self._refusal(about, None, "the connection was closed") from None

    def _lane(self, way: Way) -> _Lane:
        """Return the connection that fits a way and that the fewest calls go over, or a new one."""
        fitting = [lane for lane in self._lanes if lane.way.target == way.target and lane.way.goes_on(way)]
        if len(fitting) >= MOST_CHANNELS:
            return min(fitting, key=lambda lane: lane.calls)
        channel = wiring.stream_channel(way.target, way.own, self._node, way.trusted.values())
        self._lanes.append(_Lane(channel, way))
        return self._lanes[-1]

    def _left(self, lane: _Lane) -> None:
        lane.calls -= 1
        if not lane.calls and lane in self._lanes:
            self._lanes.remove(lane)
            self._start(lane.channel.close())

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refusal(self, about: About, code: grpc.StatusCode | None, details: str | None) -> LinkError:
        reason = _REASONS.get(code, "PeerUnreachable") if code is not None else "PeerUnreachable"
        return LinkError(
            reason,
            f"no stream of driver {about.driver} from {about.local} to {about.peer} on node {self._node}:"
            f" {one_line(details or 'refused', 200)}",
        )


def _leg(call: Call) -> Leg:
    # What was left is ended by the peer, once it has read all of it.
    return Leg(call, left=lambda: None, cancel=call.cancel)
