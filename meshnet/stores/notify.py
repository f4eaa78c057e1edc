"""Telling other processes that a file changed: a datagram to every watcher, after the commit.

Every process that watches binds a unix datagram socket in a directory beside the file. A datagram says nothing but
"look"; losing one costs a second, for the watcher also looks by itself once in that time.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SUN_PATH_MAX = 107  # bytes of a unix socket's path
_TICK_NS = 50_000_000  # longer than a tick of the clock that stamps directories
_SECOND_NS = 1_000_000_000


class Meeting:
    """The directory of the watchers' sockets: bind there, or tell all who are there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # One each: what a stopped watcher leaves unread fills its own line and nobody else's.
        self._lines: dict[str, socket.socket] = {}
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
        """Give back what was opened; idempotent."""
        for name in list(self._lines):
            self._drop(name)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _present(self) -> Sequence[str]:
        try:
            stamp = os.stat(self._directory).st_mtime_ns
            if stamp != self._stamp:
                self._names = os.listdir(self._directory)
                for gone in self._lines.keys() - set(self._names):
                    self._drop(gone)
                # A later change within the same tick of the clock would leave this very stamp: list again then.
                tick = _TICK_NS if stamp % _SECOND_NS else 2 * _SECOND_NS  # some file systems count seconds
                self._stamp = stamp if time.time_ns() - stamp > tick else None
        except OSError:
            return ()
        return self._names

    def _send(self, name: str) -> None:
        try:
            line = self._lines.get(name)
            if line is None:
                line = self._lines[name] = _datagram_socket()
                line.connect(self._address(name))
            line.send(b"!")
        except BlockingIOError:
            pass  # full: what stands there unread will wake it
        except OSError as error:
            self._drop(name)
            if error.errno == errno.ECONNREFUSED:  # no process holds it any more
                self.unlink(name)

    def _drop(self, name: str) -> None:
        line = self._lines.pop(name, None)  # none where it could not be opened
        if line is not None:
            line.close()

    def _address(self, name: str) -> str:
        path = str(self._directory / name)
        if len(os.fsencode(path)) <= _SUN_PATH_MAX:
            return path
        if self._handle is None:
            self._handle = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._handle}/{name}"


def _datagram_socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    made.setblocking(False)
    return made
