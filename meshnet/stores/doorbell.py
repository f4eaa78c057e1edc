"""Waking the watches of one process when any process has changed the file."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from meshnet.errors import StoreUnavailable
from meshnet.stores.notify import Meeting
from meshnet.stores.wakeups import Wakeups

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

NET_S = 1.0
"""Seconds between looks without a datagram: for those lost, and for writers that send none."""


class Doorbell(Wakeups):
    """Wakes the watches of this process when any process rings. Holds a socket and a timer only while there are some.

    Args:
        directory: where the processes that share the file meet.
        version: something that differs whenever another process has committed.
    """

    def __init__(self, directory: Path, version: Callable[[], object]) -> None:
        super().__init__()
        self._meeting = Meeting(directory)
        self._directory = directory
        self._version = version
        self._seen: object = None
        self._socket: socket.socket | None = None
        self._name: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def subscribed(self) -> Iterator[asyncio.Event]:
        with super().subscribed() as woken:
            try:
                if self._socket is None:
                    self._listen()
                yield woken
            finally:
                if self._waiting == {woken}:
                    self._hang_up()

    def tell(self) -> None:
        """Wake everyone, in this process and in others."""
        self.ring()
        self._meeting.tell(self._name)

    def close(self) -> None:
        """Give everything back; watches that still wait are woken."""
        self.ring()
        self._hang_up()
        self._meeting.close()

    def _listen(self) -> None:
        try:
            self._socket, self._name = self._meeting.bind()
        except OSError as error:
            raise StoreUnavailable(f"cannot listen for changes in {self._directory}: {error.strerror}") from error
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._answer, self._socket)
        self._seen = self._version()
        self._timer = self._loop.call_later(NET_S, self._look)

    def _hang_up(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None and self._loop is not None and self._name is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(self._socket)
            self._socket.close()
            self._meeting.unlink(self._name)
        self._socket = self._name = self._loop = None

    def _answer(self, rung: socket.socket) -> None:
        # Emptied before anyone looks: a datagram that finds the socket full is followed by a look after its commit.
        with contextlib.suppress(BlockingIOError):
            while rung.recv(16):
                pass
        self.ring()

    def _look(self) -> None:
        version = self._version()
        if version is None or version != self._seen:
            self.ring()
        self._seen = version
        if self._loop is not None:
            self._timer = self._loop.call_later(NET_S, self._look)
