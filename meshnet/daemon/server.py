"""The local socket: accepts, checks who calls, answers one request a connection."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING

from meshnet.cni.config import declared_version
from meshnet.cni.error import Code, refusal
from meshnet.cni.frame import FrameError
from meshnet.daemon.connection import Connection
from meshnet.daemon.rundir import unusable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from meshnet.daemon.connection import Call

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 1024
BACKLOG = 1024
PAUSE_S = 0.1
"""Before the next accept, after one that the kernel refused."""


class LocalServer:
    """Serves `answer` at a unix socket of mode 0600, to root and to the daemon's own user."""

    def __init__(self, path: Path, answer: Callable[[Call], Awaitable[bytes]]) -> None:
        self._path = path
        self._answer = answer
        self._socket: socket.socket | None = None
        self._bound: tuple[int, int] | None = None
        self._calls: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Listen. Raises InvalidObject when there can be no socket at our path."""
        try:
            self._open()
        except OSError as error:
            raise unusable("MESHNET_SOCKET", self._path, "a path where it can make a socket", error) from error

    def _open(self) -> None:
        if self._path.is_socket():  # that a killed daemon left; whatever else is there is not ours
            self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)
        try:
            listener.bind(str(self._path))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(before)
        self._bound = self._identity()
        listener.listen(BACKLOG)
        self._socket = listener
        self._listen()

    def renew(self) -> None:
        """Listen at our path again if there is nothing any more; a successor's socket stays. Raises OSError."""
        before = self._socket
        if before is None or self._identity() is not None:
            return
        try:
            self._open()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._path)) from error  # of a bind it names no file
        log.warning("local socket: %s was removed, listening there again", self._path)
        asyncio.get_running_loop().remove_reader(before.fileno())
        before.close()

    async def stop(self, *, grace_s: float) -> None:
        """Take no more calls; let those under way finish for a while."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            if self._identity() == self._bound:  # and not a successor's
                self._path.unlink(missing_ok=True)
            self._socket.close()
            self._socket = None
        if self._calls:
            await asyncio.wait(self._calls, timeout=grace_s)
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=grace_s)  # an ADD takes back what it made

    def _identity(self) -> tuple[int, int] | None:
        """Return what tells the file at our path from another one there."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_dev, stat.st_ino

    def _listen(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        assert self._socket is not None
        # One a turn of the loop: link events, which carry carrier, come before a burst of calls.
        try:
            sock, _ = self._socket.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            # Out of descriptors, most likely; callers wait in the backlog.
            log.error("local socket: %s", error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            loop.call_later(PAUSE_S, self._listen)
            return
        if len(self._calls) >= MOST_CONNECTIONS:
            log.warning("local socket: more than %d calls at once, one refused", MOST_CONNECTIONS)
            sock.close()
            return
        sock.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._serve(sock), name="local call")
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _serve(self, sock: socket.socket) -> None:
        with Connection(sock) as connection:
            if connection.caller() not in (0, os.geteuid()):
                log.warning("local socket: uid %d refused", connection.caller())
                return
            try:
                call = await connection.receive()
            except TimeoutError:
                log.warning("local socket: a caller did not finish its request")
                return
            except FrameError as error:
                reply = refusal(Code.DECODING_FAILURE, str(error))
            except ConnectionError:
                return
            except OSError as error:
                log.error("local socket: %s", error)
                reply = refusal(Code.TRY_AGAIN_LATER, f"the daemon: {error.strerror}")
            else:
                reply = await self._reply(call)
            connection.close_descriptors()
            await connection.send(reply)

    async def _reply(self, call: Call) -> bytes:
        try:
            return await self._answer(call)
        except Exception as error:
            log.exception("a local call failed")
            return refusal(Code.INTERNAL, f"{type(error).__name__}: {error}", declared_version(call.frame.body))
