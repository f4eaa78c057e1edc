"""How netlink sockets are opened and set up."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct

from meshnet.errors import KernelError
from meshnet.netlink.netns import entered

NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33

BUFFER = 4 << 20
# The answer is there when `send` returns; a lost one must not be waited for without end. Seconds, microseconds.
ANSWER_TIMEOUT = struct.pack("@ll", 5, 0)


def route_socket(netns_fd: int | None) -> socket.socket:
    """Return a new NETLINK_ROUTE socket in the namespace of `netns_fd`, or in the calling thread's.

    Raises KernelError.
    """
    with contextlib.nullcontext() if netns_fd is None else entered(netns_fd):
        try:
            # For netlink the same as SOCK_RAW, of which asyncio takes none.
            return socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, NETLINK_ROUTE)
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, "open a netlink socket") from error


def prepare(sock: socket.socket) -> None:
    """Give a NETLINK_ROUTE socket the buffers, the bound on waiting and the explanations that `Netlink` counts on."""
    enlarge(sock, socket.SO_SNDBUF, SO_SNDBUFFORCE, BUFFER)
    enlarge(sock, socket.SO_RCVBUF, SO_RCVBUFFORCE, BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, ANSWER_TIMEOUT)
    sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
    sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
    # Only a strict socket may dump the addresses of another namespace or of one interface.
    sock.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)


def enlarge(sock: socket.socket, option: int, forced: int, size: int) -> None:
    """Give a socket a buffer of `size` bytes, or what an ordinary user may have."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, option, size)
