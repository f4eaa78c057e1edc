"""JSON objects, one a line, over a stream socket; descriptors may ride along."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import TYPE_CHECKING, Any, Self

from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LARGEST_LINE = 64 << 20
"""Bytes; a lab of some thousand pods tells its state in a few megabytes."""
MOST_DESCRIPTORS = 16
STAY = {"stay": True}
"""What the caller tells the first process when the lab is up: from now on it lives without the caller."""
AT_WORK: Mapping[str, Any] = {}
"""What is told now and then by who needs long for an answer."""


class ChannelClosed(MeshnetError):  # noqa: N818 - what happened, not necessarily an error
    """The other side ended the conversation."""


class Channel:
    """One side of a conversation in JSON lines, blocking; for one thread."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self._descriptors: list[int] = []

    def fileno(self) -> int:
        return self._socket.fileno()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        for fd in self.take_descriptors():
            os.close(fd)
        self._socket.close()

    def send(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send one object, with descriptors. Raises ChannelClosed."""
        data = encode(message)
        try:
            sent = socket.send_fds(self._socket, [data], descriptors) if descriptors else 0
            self._socket.sendall(memoryview(data)[sent:])
        except OSError as error:
            raise ChannelClosed(f"the other side is gone: {error.strerror}") from error

    def receive(self) -> dict[str, Any]:
        """Return the next object. Raises ChannelClosed at the end, or when none comes within the socket's timeout."""
        while (end := self._buffer.find(b"\n")) < 0:
            self._read_more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message: dict[str, Any] = json.loads(line)
        return message

    def take_descriptors(self) -> list[int]:
        """Return the descriptors received so far; they are the caller's from now on."""
        taken, self._descriptors = self._descriptors, []
        return taken

    def _read_more(self) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 16, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        except OSError as error:
            raise ChannelClosed(f"the other side does not answer: {error}") from error
        self._descriptors += descriptors
        if not data:
            raise ChannelClosed("the other side ended before it answered")
        self._buffer += data
        if len(self._buffer) > LARGEST_LINE:
            raise ChannelClosed(f"the other side sent a line of more than {LARGEST_LINE} bytes")


def encode(message: Mapping[str, Any]) -> bytes:
    """Return the line of an object."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def pair() -> tuple[Channel, Channel]:
    """Return the two ends of a conversation between a process and its child."""
    one, other = socket.socketpair()
    return Channel(one), Channel(other)


def close_others(keep: Sequence[int]) -> None:
    """Close every descriptor of this process above the standard three but those in `keep`."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            with contextlib.suppress(OSError):
                os.close(fd)
