"""What Python's socket module has not got: many frames in one system call, binding by index."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct

ETH_P_ALL = 3
_SOCKADDR_LL = struct.Struct("=HHiHBB8s")


class IoVec(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class MsgHdr(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class MMsgHdr(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", MsgHdr), ("length", ctypes.c_uint))


_libc = ctypes.CDLL(None, use_errno=True)
_libc.recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_libc.bind.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


def receive_many(fd: int, headers: int, count: int) -> int:
    """Receive up to `count` messages into the mmsghdr array at address `headers`, without waiting; return how many.

    Raises OSError, BlockingIOError when nothing is there.
    """
    received: int = _libc.recvmmsg(fd, headers, count, socket.MSG_DONTWAIT, None)
    if received < 0:
        raise _failure()
    return received


def send_many(fd: int, headers: int, count: int) -> int:
    """Send up to `count` messages of the mmsghdr array at address `headers`, without waiting; return how many.

    Raises OSError for the first of them; what is wrong with a later one is told when that is the first.
    """
    sent: int = _libc.sendmmsg(fd, headers, count, socket.MSG_DONTWAIT)
    if sent < 0:
        raise _failure()
    return sent


def bind_packet(sock: socket.socket, ifindex: int) -> None:
    """Have an AF_PACKET socket hear and speak on the device of that index alone. Raises OSError.

    By index: between a look-up of a name and its use the name may have passed to another device.
    """
    address = _SOCKADDR_LL.pack(socket.AF_PACKET, socket.htons(ETH_P_ALL), ifindex, 0, 0, 0, b"")
    if _libc.bind(sock.fileno(), address, len(address)) != 0:
        raise _failure()


def _failure() -> OSError:
    number = ctypes.get_errno() or errno.EIO
    return OSError(number, os.strerror(number))
