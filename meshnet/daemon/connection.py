"""One connection to the local socket: who calls, what, with which descriptors."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from typing import NamedTuple, Self

from meshnet.cni.frame import Frame, FrameDecoder, FrameError

READ_LIMIT_S = 10.0
CHUNK = 1 << 16
MOST_DESCRIPTORS = 2

_CREDENTIALS = struct.Struct("3i")


class Call(NamedTuple):
    """A request as it came in. The descriptors belong to the connection, which closes them."""

    frame: Frame
    descriptors: list[int]


class Connection:
    """An accepted connection; closes every descriptor that came with it, whatever happens.

    asyncio's streams drop descriptors, and Python's recvmsg does not close them on exec: hence our own reading.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.descriptors: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close_descriptors()
        self._socket.close()

    def close_descriptors(self) -> None:
        """Close what came with the request: held past the answer it would keep a dead pod alive."""
        while self.descriptors:
            os.close(self.descriptors.pop())

    def caller(self) -> int:
        """Return the uid of who connected."""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        return int(_CREDENTIALS.unpack(credentials)[1])

    async def receive(self) -> Call:
        """Return the request. Raises FrameError, TimeoutError, and OSError when no descriptor was left for its own."""
        decoder = FrameDecoder()
        async with asyncio.timeout(READ_LIMIT_S):
            while True:
                piece = await self._piece()
                if not piece:
                    raise FrameError("frame: the connection ended before its end")
                frame = decoder.feed(piece)
                if frame is not None:
                    return Call(frame, self.descriptors)

    async def send(self, reply: bytes) -> None:
        """Send the reply, the last thing on a connection. A caller that is gone is no error."""
        try:
            async with asyncio.timeout(READ_LIMIT_S):
                await asyncio.get_running_loop().sock_sendall(self._socket, reply)
        except (ConnectionError, TimeoutError):
            return

    async def _piece(self) -> bytes:
        while True:
            try:
                data, ancillary, flags, _ = self._socket.recvmsg(
                    CHUNK, socket.CMSG_SPACE(4 * MOST_DESCRIPTORS), socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                await _readable(self._socket)
                continue
            self._keep(ancillary)
            cut = flags & socket.MSG_CTRUNC
            if cut and len(self.descriptors) < MOST_DESCRIPTORS:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # the kernel says no more than that some are cut
            if cut or len(self.descriptors) > MOST_DESCRIPTORS:
                raise FrameError(f"frame: at most {MOST_DESCRIPTORS} descriptors come with a request")
            return data

    def _keep(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self.descriptors += struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4])


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock.fileno(), _set, ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock.fileno())


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
