"""The AF_PACKET socket on a port: what the pod sends is read from it, what the peer sends is written to it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.netlink.opening import SO_RCVBUFFORCE, SO_SNDBUFFORCE, enlarge
from meshnet_grpcwire.libc import bind_packet

if TYPE_CHECKING:
    from concurrent.futures import Executor

SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP = 1
PACKET_STATISTICS = 6
PACKET_AUXDATA = 8
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
PACKET_MR_PROMISC = 1
SO_MEMINFO = 55

PATIENCE = 3
"""So many turns of the loop may tell of frames that nobody reads before it is not listened for them any more."""
PARKED_BUFFER = 256 << 10
PARKED_HOLDS = 2 * PARKED_BUFFER
"""The kernel doubles it, and then counts its own memory, too."""
MOST_PARKED = PARKED_HOLDS // 512
"""Frames: none takes less."""
SEND_BUFFER = 8 << 20
_IN_WANT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""Say that there is no socket now, not that there may be none."""
_MEMBERSHIP = struct.Struct("=iHH8s")
_STATISTICS = struct.Struct("=II")


class PortSocket:
    """A socket on the port of that index, in the calling thread's namespace.

    It begins parked: nobody reads it, and the kernel keeps no more for it than a network card would.

    Args:
        ifindex: of the port.
        buffer: bytes that the kernel may keep while it is read.
        closer: closes it in the end. The kernel waits for all processors before such a socket goes, some 10 ms: no
            other wire shall.

    Raises KernelError when there is no such port, or what it needs is not allowed.
    """

    def __init__(self, ifindex: int, *, buffer: int, closer: Executor) -> None:
        self._buffer = buffer
        self._closer = closer
        self._dropped = 0
        # To begin and end listening for each frame would cost as much as to read it: it goes on from one to the next.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._unheard = 0
        try:
            self._socket = _packet_socket(ifindex)
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, f"open a packet socket on port {ifindex}") from error
        self.park()

    def fileno(self) -> int:
        return self._socket.fileno()

    async def close(self) -> None:
        """End it; what is queued is lost. Nobody waits in `readable` any more. Idempotent."""
        self._stop_listening()
        self.dropped()
        if self._socket.fileno() >= 0:
            closing = asyncio.wrap_future(self._closer.submit(os.close, self._socket.detach()))
            await asyncio.shield(closing)  # who is tired of waiting does not keep it from going

    def park(self) -> None:
        """Keep little until it is read again."""
        self._stop_listening()
        enlarge(self._socket, socket.SO_RCVBUF, SO_RCVBUFFORCE, min(PARKED_BUFFER, self._buffer))

    async def resume(self, *, fresh: bool) -> None:
        """Keep much from now on; with `fresh` forget what is queued."""
        if fresh:
            await self._forget()
        enlarge(self._socket, socket.SO_RCVBUF, SO_RCVBUFFORCE, self._buffer)

    def dropped(self) -> int:
        """Return how many frames the kernel has dropped since the socket was full."""
        if self._socket.fileno() >= 0:
            # Reading sets the kernel's count to zero.
            raw = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size)
            self._dropped += _STATISTICS.unpack(raw)[1]
        return self._dropped

    async def readable(self) -> None:
        """Wait until there is something to read, or an error to hear of. For one task at a time."""
        self._waiter = asyncio.get_running_loop().create_future()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._socket.fileno(), self._on_readable)
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _on_readable(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
            self._unheard = 0
            return
        # Who was told reads a turn later; who does not read for longer waits for its turn among full wires, or for a
        # stream that takes nothing.
        self._unheard += 1
        if self._unheard > PATIENCE:
            self._stop_listening()

    def _stop_listening(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._loop = None

    async def _forget(self) -> None:
        """Drop what is queued, a part a turn of the loop. It ends: while it holds too much for one nothing is added."""
        overfull = True
        while overfull:
            overfull = self._held() > PARKED_HOLDS
            for _ in range(MOST_PARKED):
                try:
                    self._socket.recv(1)
                except BlockingIOError:
                    return
                except OSError:
                    continue  # a port that was down tells so once
            await asyncio.sleep(0)

    def _held(self) -> int:
        """Return how much memory of the kernel's is queued, bytes."""
        return int.from_bytes(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4), sys.byteorder)


def why_unusable() -> str | None:
    """Return why this process cannot have such sockets; None when it can. Takes some 10 ms, as `close` does."""
    try:
        _deaf_socket().close()
    except OSError as error:
        if error.errno in _IN_WANT:
            return None  # each wire is tried by itself, and again
        return f"packet sockets are refused: {error.strerror}; the daemon needs the capability NET_RAW"
    return None


def _packet_socket(ifindex: int) -> socket.socket:
    with contextlib.ExitStack() as undo:
        sock = _deaf_socket()
        undo.callback(sock.close)
        enlarge(sock, socket.SO_SNDBUF, SO_SNDBUFFORCE, SEND_BUFFER)
        bind_packet(sock, ifindex)
        sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, _MEMBERSHIP.pack(ifindex, PACKET_MR_PROMISC, 0, b""))
        undo.pop_all()
    return sock


def _deaf_socket() -> socket.socket:
    """Return a socket that is not bound: with protocol 0 it hears nothing before."""
    with contextlib.ExitStack() as undo:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
        undo.callback(sock.close)
        for option in (PACKET_IGNORE_OUTGOING, PACKET_VNET_HDR, PACKET_AUXDATA):
            sock.setsockopt(SOL_PACKET, option, 1)
        undo.pop_all()
    return sock
