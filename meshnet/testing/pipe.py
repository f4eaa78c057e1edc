"""A stream between two event loops of one process: messages in order and bounded, ended from anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from typing import TYPE_CHECKING

from meshnet.driver.context import LARGEST_MESSAGE
from meshnet.errors import StreamEnded

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

ROOM = 8
"""Messages under way in one direction before a writer waits."""


class _Direction:
    """Messages of one side for the other. Each method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages: deque[bytes] = deque()
        self._waiting: list[tuple[AbstractEventLoop, Future[None]]] = []
        self._ended = False

    async def put(self, message: bytes) -> None:
        while (turn := self._tried_to_put(message)) is not None:
            await turn

    async def take(self) -> bytes:
        while isinstance(got := self._tried_to_take(), asyncio.Future):
            await got
        return got

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self._messages.clear()
            self._wake()

    def _tried_to_put(self, message: bytes) -> Future[None] | None:
        """Put a message in and return None, or return what ends when it may be tried again."""
        with self._lock:
            self._check()
            if len(self._messages) >= ROOM:
                return self._turn()
            self._messages.append(message)
            self._wake()
            return None

    def _tried_to_take(self) -> bytes | Future[None]:
        with self._lock:
            self._check()
            if not self._messages:
                return self._turn()
            self._wake()
            return self._messages.popleft()

    def _check(self) -> None:
        if self._ended:
            raise StreamEnded("the stream is over")

    def _turn(self) -> Future[None]:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append((loop, turn))
        return turn

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for loop, turn in waiting:
            with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits there
                loop.call_soon_threadsafe(_finish, turn)


class PipeEnd:
    """One end of a pipe: a `meshnet.driver.Stream`."""

    def __init__(self, outgoing: _Direction, incoming: _Direction) -> None:
        self._outgoing = outgoing
        self._incoming = incoming

    async def write(self, message: bytes) -> None:
        """Send a message; wait while the other side does not take it.

        Raises StreamEnded; TypeError and ValueError for what is no message of 1 to `LARGEST_MESSAGE` bytes.
        """
        if not isinstance(message, bytes):
            raise TypeError(f"a message is bytes, not {type(message).__name__}")
        if not 0 < len(message) <= LARGEST_MESSAGE:
            raise ValueError(f"a message of {len(message)} bytes: a stream takes 1 to {LARGEST_MESSAGE}")
        await self._outgoing.put(message)

    async def read(self) -> bytes:
        """Return the next message. Raises StreamEnded."""
        return await self._incoming.take()

    def close(self) -> None:
        """End it for both sides, at once; what was not delivered is lost."""
        self._outgoing.end()
        self._incoming.end()


def pipe() -> tuple[PipeEnd, PipeEnd]:
    """Return both ends of a new pipe."""
    one, other = _Direction(), _Direction()
    return PipeEnd(one, other), PipeEnd(other, one)


def _finish(turn: Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
