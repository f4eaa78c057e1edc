"""What the kernel sends: messages, and the errors in them."""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from meshnet.errors import KernelError
from meshnet.netlink.wire import HEADER, NLM_F_ACK_TLVS, NLMSG_ERROR, attributes, text

if TYPE_CHECKING:
    from collections.abc import Iterator

NLMSGERR_ATTR_MSG = 1
# More messages than a buffer holds.
MOST_WAITING = 1 << 16

_CODE = struct.Struct("=i")


class Message(NamedTuple):
    """A message from the kernel; `payload` is what follows its header."""

    type: int
    flags: int
    sequence: int
    payload: bytes


def split(data: bytes) -> Iterator[Message]:
    """Yield the messages of a datagram."""
    offset = 0
    end = len(data)
    while offset + HEADER.size <= end:
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield Message(kind, flags, sequence, data[offset + HEADER.size : offset + length])
        offset += (length + 3) & ~3


def discard(sock: socket.socket) -> None:
    """Throw away all that waits in `sock`. After an overrun the kernel queues nothing more until that is gone."""
    for _ in range(MOST_WAITING):
        try:
            sock.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise


def failure(message: Message, what: str) -> KernelError | None:
    """Return the error in an ERROR or DONE message, with the kernel's explanation; None for success."""
    payload = message.payload
    code = -int(_CODE.unpack_from(payload)[0]) if len(payload) >= _CODE.size else 0
    if code <= 0:
        return None
    if not message.flags & NLM_F_ACK_TLVS:
        return KernelError(code, what)
    # After the code, an ERROR message repeats the request's header; DONE does not.
    offset = _CODE.size + (HEADER.size if message.type == NLMSG_ERROR else 0)
    return KernelError(code, what, text(attributes(payload, offset).get(NLMSGERR_ATTR_MSG, b"")))
