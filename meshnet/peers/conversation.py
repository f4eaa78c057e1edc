"""One session from the hello to its end: what the peer's daemon says is heard, and its silence noticed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import grpc

from meshnet.driver.told import one_line
from meshnet.errors import MeshnetError
from meshnet.peers import wiring
from meshnet.peers.hearing import Hearing
from meshnet.peers.messages import agree, decode_hello, encode_hello
from meshnet.peers.probe import Answer, probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.peers.contact import Liveness
    from meshnet.peers.messages import Hello, Told

    Session = grpc.aio.UnaryStreamMultiCallable[bytes, bytes]

Taken = TypeVar("Taken")

SILENT_S = 1.0
"""A session that says nothing for as long is over."""
DIAL_S = 1.0
"""From a connection to the peer's hello, and between looks whether the node still takes connections."""

_LOOKS = 5
"""So often a dial is given another `DIAL_S`; a server waits no longer for what it is to be sent."""
_SILENCE = f"its daemon says nothing for {DIAL_S:g} s"


class OtherProtocol(MeshnetError):  # noqa: N818 - what it is
    """The daemon there speaks no protocol of this one's."""


class NoSession(MeshnetError):  # noqa: N818 - what happened, not necessarily an error
    """A dial led to no session, or the session ended; its text says why."""


class Conversation:
    """A call of ``Session``, on a connection of its own.

    It takes the hello along: of one written to a call that the peer has just ended, gRPC tells its own failure instead
    of what the peer said.

    Args:
        node: whom with, and `address` and `port` where that takes connections.
        channel: to it.
        hello: what is said to it.
        liveness: of the node, which every message shows to be there.
        heard: called with what is told, when all that belongs together has come.
        unheard: called with where and why, while the node takes connections and its daemon says no hello.
    """

    def __init__(
        self,
        node: str,
        address: str,
        port: int,
        channel: grpc.aio.Channel,
        hello: Hello,
        *,
        liveness: Liveness,
        heard: Callable[[Told], None],
        unheard: Callable[[str, str], None],
    ) -> None:
        self._node = node
        self._address = address
        self._port = port
        self._channel = channel
        self._hello = hello
        self._liveness = liveness
        self._heard = heard
        self._unheard = unheard
        session: Session = channel.unary_stream(f"/{wiring.SERVICE}/Session")
        self._call = session(encode_hello(hello))
        self._greeted = False
        self._quiet_s = 0.0

    async def hold(self) -> None:
        """Listen until the session ends; the channel is closed then.

        Raises NoSession, OtherProtocol.
        """
        try:
            await self._greet()
            self._quiet_s, self._greeted = 0.0, True
            await self._listen()
        except grpc.aio.AioRpcError as error:
            raise NoSession(one_line(error.details() or error.code().name, 200)) from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise NoSession("it went silent") from None  # the call was cancelled, not this task
        finally:
            self.end()
            await self._channel.close()

    def end(self) -> None:
        """Call it off."""
        self._call.cancel()

    def passes(self, seconds: float) -> None:
        """Time passed, as far as this daemon was awake to see it."""
        self._quiet_s += seconds
        if self._greeted and self._quiet_s >= SILENT_S:
            self.end()

    async def _greet(self) -> None:
        asking = asyncio.ensure_future(self._read())
        try:
            await self._answered(asking)
            answer = _taken(decode_hello, asking.result())
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        ours, theirs = self._hello.protocol, answer.protocol
        if agree(ours, theirs) is None:
            raise OtherProtocol(
                f"node {self._node} speaks protocol {theirs[0]} to {theirs[1]}, this node {ours[0]} to {ours[1]}"
            )

    async def _answered(self, asking: asyncio.Future[bytes]) -> None:
        """Wait for the peer's hello, as long as its node takes connections. Raises NoSession.

        Who is slow has many to answer. A dial that is given up and begun anew makes them more, and each the slower.
        """
        for _ in range(_LOOKS):
            await asyncio.wait({asking}, timeout=DIAL_S)
            if asking.done():
                return
            probed = await probe((self._address,), self._port)
            if probed.answer is not Answer.TAKEN:
                break
            self._liveness.reached()
            self._unheard(probed.told(self._node, self._port), _SILENCE)
        raise NoSession(_SILENCE)

    async def _listen(self) -> None:
        hearing = Hearing()
        while True:
            told = _taken(hearing.take, await self._read())
            self._quiet_s = 0.0
            self._liveness.reached()
            if told is not None:
                self._heard(told)

    async def _read(self) -> bytes:
        message = await self._call.read()
        if isinstance(message, bytes):
            return message
        raise NoSession("it ended the session")


def _taken(read: Callable[[bytes], Taken], message: bytes) -> Taken:
    """Return what the peer's message says. Raises NoSession when it is none."""
    try:
        return read(message)
    except ValueError as error:
        raise NoSession(f"what it sends is not taken: {error}") from None
