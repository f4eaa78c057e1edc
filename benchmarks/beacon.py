"""Frames that one pod sends all the time, and when another pod gets the first of them."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING

from meshnet.netlink import netns

if TYPE_CHECKING:
    from collections.abc import Iterator

ETHERTYPE = 0x88B5
"""For local experiments (IEEE 802)."""
PERIOD_S = 0.0005
PATIENCE_S = 20.0
_FRAME = bytes(6 * [255]) + bytes.fromhex("02000000b0b0") + struct.pack("!H", ETHERTYPE) + bytes(46)


@contextlib.contextmanager
def sent(path: str, interface: str) -> Iterator[None]:
    """Send a broadcast frame every half millisecond out of an interface of a namespace, carrier or not."""
    over = threading.Event()
    with _socket(path, 0) as sock:
        sock.bind((interface, 0))

        def send() -> None:
            while not over.wait(PERIOD_S):
                with contextlib.suppress(OSError):  # the interface is down
                    sock.send(_FRAME)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            yield
        finally:
            over.set()
            sender.join()


class Ear:
    """Hears the frames in a namespace, whichever interface they come by."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = _socket(path, socket.htons(ETHERTYPE))

    def clear(self) -> None:
        """Forget what has come so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(64, socket.MSG_DONTWAIT)

    def first(self) -> float:
        """Return when (`time.perf_counter`) a frame is there. Ends the benchmark when none comes."""
        self._socket.settimeout(PATIENCE_S)
        try:
            self._socket.recv(64)
        except TimeoutError:
            sys.exit(f"{self._path}: no frame within {PATIENCE_S:g} s")
        return time.perf_counter()

    def close(self) -> None:
        self._socket.close()


def _socket(path: str, protocol: int) -> socket.socket:
    fd = netns.open_netns(path)
    try:
        with netns.entered(fd):
            return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, protocol)
    finally:
        os.close(fd)
