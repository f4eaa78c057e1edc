"""A stream of a driver: messages in order, as they are, and whoever writes waits for who reads.

It is carried by a gRPC call, and may be carried on by another one over a new connection, so that a certificate can be
renewed under it. An empty message, which no driver sends, says that the next call carries on: each side writes one when
it goes over, and goes on reading at the next call when it reads one.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import attrs
import grpc

from meshnet.driver.context import LARGEST_MESSAGE
from meshnet.errors import StreamEnded
from meshnet.model.topology import Endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_ABOUT = "about-bin"  # "-bin": any bytes may stand in it
_CARRIES_ON = b""
_FOLLOWS_S = 10.0

T = TypeVar("T")


@attrs.frozen
class About:
    """What a stream is for, as who opens it sees it.

    Attributes:
        driver: its name.
        local: the end at the node that opens it.
        peer: the end at the node that is called.
        carries_on: what the stream is called at that node, if it is open already; else ``""``.
    """

    driver: str
    local: Endpoint
    peer: Endpoint
    carries_on: str = ""

    def metadata(self) -> tuple[tuple[str, bytes], ...]:
        """Return how a call says it."""
        local, peer = ([end.namespace, end.pod, end.interface] for end in (self.local, self.peer))
        about = {"driver": self.driver, "local": local, "peer": peer, "carries_on": self.carries_on}
        return ((_ABOUT, json.dumps(about).encode()),)

    @classmethod
    def read(cls, metadata: Iterable[tuple[str, str | bytes]] | None) -> About:
        """Return what a call says. Raises ValueError when it does not."""
        try:
            about: Any = json.loads(dict(metadata or ()).get(_ABOUT, b""))
        except RecursionError:
            raise ValueError("nested too deeply") from None
        match about:
            case {
                "driver": str(driver),
                "local": [str(), str(), str()] as local,
                "peer": [str(), str(), str()] as peer,
                "carries_on": str(carries_on),
            }:
                return cls(driver, Endpoint(*local), Endpoint(*peer), carries_on)
        raise ValueError("it does not say which driver and ends it is for")


class Carrier(Protocol):
    """One side of a gRPC call."""

    def read(self) -> Awaitable[object]: ...

    def write(self, message: bytes) -> Awaitable[None]: ...


@attrs.frozen(eq=False)
class Leg:
    """A call that carries a stream for a while.

    Attributes:
        carrier: this side of it.
        left: is called when this side needs it no more, since it has read and written all that the call carries.
        cancel: ends the call at once.
    """

    carrier: Carrier
    left: Callable[[], object]
    cancel: Callable[[], object]


class CarriedStream:
    """A stream at either side; see `meshnet.driver.context.Stream`. Cancelling a read or a write ends it."""

    def __init__(self, leg: Leg) -> None:
        self._read_from = deque([leg])
        self._write_to = leg
        self._writing = asyncio.Lock()
        self._followed = asyncio.Event()
        self._waiting: set[asyncio.Task[Any]] = set()
        self._over = ""

    @property
    def over(self) -> bool:
        return bool(self._over)

    async def write(self, message: bytes) -> None:
        """See `meshnet.driver.context.Stream`. Raises ValueError when the message is empty or too long."""
        if not 0 < len(message) <= LARGEST_MESSAGE:
            raise ValueError(f"a message of {len(message)} bytes: a stream takes 1 to {LARGEST_MESSAGE}")
        async with self._writing:
            await self._write(message)

    async def read(self) -> bytes:
        """See `meshnet.driver.context.Stream`."""
        while True:
            self._check()
            message = await self._guarded(self._read_from[0].carrier.read())
            if not isinstance(message, bytes):
                self._end("the peer ended the stream")
            elif message != _CARRIES_ON:
                return message
            else:
                await self._guarded(self._read_on())

    def close(self) -> None:
        """See `meshnet.driver.context.Stream`."""
        self._end("the stream was closed")

    def follow(self, leg: Leg) -> None:
        """Take the call that carries on: it is read when the peer has gone over to it."""
        self._read_from.append(leg)
        self._followed.set()

    async def go_over(self, leg: Leg) -> None:
        """Write to a call that was taken by `follow`, after what is being written now. Raises StreamEnded."""
        async with self._writing:
            await self._write(_CARRIES_ON)
            before, self._write_to = self._write_to, leg
        self._leave(before)

    async def _read_on(self) -> None:
        async with asyncio.timeout(_FOLLOWS_S):
            while len(self._read_from) < 2:
                self._followed.clear()
                await self._followed.wait()
        self._leave(self._read_from.popleft())

    def _leave(self, leg: Leg) -> None:
        if leg not in self._read_from and leg is not self._write_to:
            leg.left()

    async def _write(self, message: bytes) -> None:
        self._check()
        await self._guarded(self._write_to.carrier.write(message))

    async def _guarded(self, work: Awaitable[T]) -> T:
        """Wait for a part of a call. Raises StreamEnded, and then the stream is over."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            # By `_end`, or with its call, or else it is the task that is cancelled.
            woken = task not in self._waiting and task.uncancel() == 0
            self._end("the stream was closed")
            if not woken and task.cancelling():
                raise
        except grpc.aio.AioRpcError as error:
            self._end(error.details() or error.code().name)
        except TimeoutError:
            self._end("the call that was to carry on did not come")
        except (grpc.aio.BaseError, asyncio.InvalidStateError) as error:
            self._end(str(error) or type(error).__name__)
        finally:
            self._waiting.discard(task)
        raise StreamEnded(self._over)

    def _check(self) -> None:
        if self._over:
            raise StreamEnded(self._over)

    def _end(self, why: str) -> None:
        if not self._over:
            self._over = why
            for leg in {*self._read_from, self._write_to}:
                leg.cancel()
            # gRPC's server leaves who reads a call that has ended waiting.
            waiting, self._waiting = self._waiting - {asyncio.current_task()}, set()
            for task in waiting:
                task.cancel()
