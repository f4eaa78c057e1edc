"""Offloads of a link."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct
from typing import Self

from meshnet.errors import KernelError
from meshnet.netlink.opening import route_socket

SIOCETHTOOL = 0x8946
ETHTOOL_GTXCSUM = 0x16
ETHTOOL_STXCSUM = 0x17

_IFREQ = struct.Struct("@16sP16x")
_VALUE = struct.Struct("=II")


class Ethtool:
    """A socket for ethtool requests in the namespace of `netns_fd`, or in the calling thread's.

    Raises KernelError when that namespace may not be entered.
    """

    def __init__(self, netns_fd: int | None = None) -> None:
        self._socket = route_socket(netns_fd)  # of the families that know devices one that no host lacks

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def set_tx_checksum(self, name: str, on: bool) -> None:
        """Let the link `name` leave checksums, and with them segmentation, to its receiver; or make it do them itself.

        Raises KernelError.
        """
        what = f"set tx checksum offload of {name} {'on' if on else 'off'}"
        self._command(name, ETHTOOL_STXCSUM, int(on), what)

    def tx_checksum(self, name: str) -> bool:
        """Return whether the link `name` leaves checksums to its receiver. Raises KernelError."""
        return bool(self._command(name, ETHTOOL_GTXCSUM, 0, f"read tx checksum offload of {name}"))

    def _command(self, name: str, command: int, value: int, what: str) -> int:
        answer = ethtool_ioctl(self._socket.fileno(), name, _VALUE.pack(command, value), what)
        return int(_VALUE.unpack(answer)[1])


def ethtool_ioctl(socket_fd: int, name: str, request: bytes, what: str) -> bytes:
    """Ask for something of the link `name` in a socket's namespace; return the request with its answer.

    Raises KernelError.
    """
    buffer = ctypes.create_string_buffer(request, len(request))
    try:
        fcntl.ioctl(socket_fd, SIOCETHTOOL, _IFREQ.pack(name.encode(), ctypes.addressof(buffer)))
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, what) from error
    return buffer.raw
