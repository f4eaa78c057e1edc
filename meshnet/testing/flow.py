"""A steady flow of numbered frames, to see whether one is lost while something else is done."""

from __future__ import annotations

import contextlib
import struct
import threading
import time
from typing import TYPE_CHECKING, Self

from meshnet.testing.frames import FrameSocket
from meshnet.testing.passing import EXPERIMENTAL, raw

if TYPE_CHECKING:
    from meshnet.testing.ends import Station

PACE_S = 0.002
LAST_S = 1.0
"""How long the last frames may be under way."""
_NUMBER = struct.Struct("!I")
_HEADER = 14


class Flow:
    """Sends from one station to another for the length of a ``with``.

    Attributes:
        lost: numbers of the frames that did not arrive, when it is over.
        sent: how many there were.
    """

    def __init__(self, sender: Station, receiver: Station) -> None:
        self.lost: set[int] = set()
        self.sent = 0
        self._head = raw(receiver.mac) + raw(sender.mac) + EXPERIMENTAL
        self._out = FrameSocket(sender.interface, sender.namespace.fd)
        self._into = FrameSocket(receiver.interface, receiver.namespace.fd)
        self._arrived: set[int] = set()
        self._done = threading.Event()
        self._sending = threading.Thread(target=self._send, name="flow-out")
        self._receiving = threading.Thread(target=self._receive, name="flow-in")

    def __enter__(self) -> Self:
        self._receiving.start()
        self._sending.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        self._sending.join()
        self._receiving.join()
        self._out.close()
        self._into.close()
        self.lost = set(range(self.sent)) - self._arrived

    def _send(self) -> None:
        while not self._done.wait(PACE_S):
            with contextlib.suppress(OSError):  # what the sender's interface refuses is lost as well
                self._out.send(self._head + _NUMBER.pack(self.sent) + bytes(46))
            self.sent += 1

    def _receive(self) -> None:
        until = None
        while until is None or time.monotonic() < until:
            frame = self._into.receive(0.05)
            if frame is not None and frame[:_HEADER] == self._head:
                self._arrived.add(_NUMBER.unpack_from(frame, _HEADER)[0])
            if until is None and self._done.is_set():
                until = time.monotonic() + LAST_S
            if not self._sending.is_alive() and self._done.is_set() and len(self._arrived) == self.sent:
                return
