"""Telling other processes that a file changed: a datagram to every watcher, after the commit.

Every process that watches binds a unix datagram socket in a directory beside the file. A datagram says nothing but
"look"; losing one costs a second, for the watcher also looks by itself once in that time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING

from meshnet.errors import StoreUnavailable
from meshnet.stores.wakeups import Wakeups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

NET_S = 1.0
"""Seconds between looks without a datagram: for those lost, and for writers that send none."""

_SUN_PATH_MAX = 107  # bytes of a unix socket's path
_SETTLED_NS = 50_000_000  # longer than a tick of the clock that stamps directories


class Meeting:
    """The directory of the watchers' sockets: bind there, or tell all who are there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sender: socket.socket | None = None
        self._handle: int | None = None
        self._names: Sequence[str] = ()
        self._stamp: int | None = None

    def bind(self) -> tuple[socket.socket, str]:
        """Return a new socket there, and its name. Raises OSError."""
        self._directory.mkdir(mode=0o700, exist_ok=True)
        name = f"{os.getpid()}-{secrets.token_hex(6)}"  # never used again, so that a dead one can be told by its name
        watcher = _datagram_socket()
        try:
            watcher.bind(self._address(name))
        except BaseException:
            watcher.close()
            raise
        return watcher, name

    def unlink(self, name: str) -> None:
        """Take a socket's name away; without complaint when it is gone."""
        with contextlib.suppress(OSError):
            os.unlink(self._directory / name)

    def tell(self, but: str | None) -> None:
        """Send a datagram to everyone except `but`. Never raises: the write that it tells of is done."""
        for name in self._present():
            if name != but:
                self._send(name)

    def close(self) -> None:
        """Give back the sending socket; idempotent."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _present(self) -> Sequence[str]:
        try:
            stamp = os.stat(self._directory).st_mtime_ns
            if stamp != self._stamp:
                self._names = os.listdir(self._directory)
                # A later change within the same tick of the clock would leave this very stamp: list again then.
                self._stamp = stamp if time.time_ns() - stamp > _SETTLED_NS else None
        except OSError:
            return ()
        return self._names

    def _send(self, name: str) -> None:
        if self._sender is None:
            self._sender = _datagram_socket()
        try:
            self._sender.sendto(b"!", self._address(name))
        except OSError as error:
            # A full socket will wake its owner anyway. A refusal means that no process holds it any more.
            if error.errno == errno.ECONNREFUSED:
                self.unlink(name)

    def _address(self, name: str) -> str:
        path = str(self._directory / name)
        if len(os.fsencode(path)) <= _SUN_PATH_MAX:
            return path
        if self._handle is None:
            self._handle = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._handle}/{name}"


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


def _datagram_socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.setblocking(False)
    return made
