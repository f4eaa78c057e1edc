"""Pings from inside pods, many at once: raw ICMP sockets opened in the pods' namespaces, one thread."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import time
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import KernelError
from meshnet.netlink import Netlink, neighbours, netns

if TYPE_CHECKING:
    from collections.abc import Sequence

AT_ONCE = 200
AGAIN_S = 0.25
ANSWERS = 3
"""The first one waits for neighbour discovery; the best of them is the time."""
_ECHO = struct.Struct("!BBHHH")
_PAYLOAD = bytes(range(56))
_ECHO_4, _REPLY_4 = 8, 0
_ECHO_6, _REPLY_6 = 128, 129


@attrs.frozen
class Ping:
    """One direction of a link.

    Attributes:
        netns: path of the sender's namespace.
        interface: that it leaves by.
        source, destination: addresses, without prefix length.
    """

    netns: str
    interface: str
    source: str
    destination: str


@attrs.frozen
class Pong:
    """What became of a ping.

    Attributes:
        rtt_ms: the shortest round trip, or None when nothing came back.
        error: why it could not even be sent, or ``""``.
    """

    rtt_ms: float | None = None
    error: str = ""


def ping_all(pings: Sequence[Ping], timeout_s: float = 5.0) -> list[Pong]:
    """Return what became of each ping. Each is sent again until it is answered, for `timeout_s` at most."""
    results: list[Pong] = []
    for start in range(0, len(pings), AT_ONCE):
        results += _Batch(pings[start : start + AT_ONCE]).run(timeout_s)
    return results


class _Probe:
    """One ping on its way."""

    def __init__(self, ping: Ping, identifier: int) -> None:
        self.ping = ping
        self.identifier = identifier
        self.six = ":" in ping.destination
        self.times: list[float] = []
        self.sequence = 0
        self.sent = 0.0
        self.unanswered: dict[int, float] = {}  # when it was sent, by sequence number
        self.error = ""
        fd = netns.open_netns(ping.netns)
        try:
            with netns.entered(fd):
                self.socket = self._open(ping)
        finally:
            os.close(fd)

    def _open(self, ping: Ping) -> socket.socket:
        family, protocol = (
            (socket.AF_INET6, socket.IPPROTO_ICMPV6) if self.six else (socket.AF_INET, socket.IPPROTO_ICMP)
        )
        sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, ping.interface.encode())
            scope = socket.if_nametoindex(ping.interface) if ping.destination.lower().startswith("fe80") else 0
            sock.bind((ping.source, 0, 0, scope) if self.six else (ping.source, 0))
            sock.connect((ping.destination, 0, 0, scope) if self.six else (ping.destination, 0))
        except BaseException:
            sock.close()
            raise
        return sock

    def close(self) -> None:
        """End it; the sender forgets whom it has found by it.

        The kernel has room for a thousand neighbours of all namespaces together, and keeps each for half a minute.
        """
        self.socket.close()
        with contextlib.suppress(OSError, KernelError):  # the pod is gone, or has found nobody
            fd = netns.open_netns(self.ping.netns)
            try:
                with netns.entered(fd), Netlink.open() as netlink:
                    index = socket.if_nametoindex(self.ping.interface)
                    neighbours.forget_learned(netlink, index, self.ping.destination)
            finally:
                os.close(fd)

    @property
    def done(self) -> bool:
        return len(self.times) >= ANSWERS

    def send(self, now: float) -> None:
        self.sequence += 1
        self.sent = self.unanswered[self.sequence] = now
        kind = _ECHO_6 if self.six else _ECHO_4
        head = _ECHO.pack(kind, 0, 0, self.identifier, self.sequence)
        if not self.six:  # the kernel does it for ICMPv6
            head = _ECHO.pack(kind, 0, checksum(head + _PAYLOAD), self.identifier, self.sequence)
        try:
            self.socket.send(head + _PAYLOAD)
            self.error = ""
        except OSError as error:
            self.error = error.strerror or str(error)

    def receive(self) -> bool:
        """Read what has come; tell whether it answers one that was sent, however many were since."""
        try:
            data = self.socket.recv(2048)
        except OSError as error:
            if not isinstance(error, BlockingIOError):
                self.error = error.strerror or str(error)
            return False
        now = time.perf_counter()
        offset = 0 if self.six else (data[0] & 15) * 4
        if len(data) < offset + _ECHO.size:
            return False
        kind, _, _, identifier, sequence = _ECHO.unpack_from(data, offset)
        ours = (kind, identifier) == (_REPLY_6 if self.six else _REPLY_4, self.identifier)
        if not ours or sequence not in self.unanswered:
            return False
        self.times.append((now - self.unanswered.pop(sequence)) * 1000)
        return True


class _Batch:
    def __init__(self, pings: Sequence[Ping]) -> None:
        self._pings = pings
        self._probes: dict[int, _Probe] = {}
        self._failed: dict[int, str] = {}

    def run(self, timeout_s: float) -> list[Pong]:
        for index, ping in enumerate(self._pings):
            try:
                self._probes[index] = _Probe(ping, os.getpid() + index & 0xFFFF)
            except (OSError, KernelError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error)
                self._failed[index] = f"{ping.interface}: {why}"
        try:
            self._exchange(time.perf_counter() + timeout_s)
            return [self._pong(index) for index in range(len(self._pings))]
        finally:
            for probe in self._probes.values():
                probe.close()

    def _exchange(self, deadline: float) -> None:
        poll = select.poll()
        by_fd = {probe.socket.fileno(): probe for probe in self._probes.values()}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        while by_fd and (now := time.perf_counter()) < deadline:
            for probe in by_fd.values():
                if now - probe.sent >= AGAIN_S:
                    probe.send(time.perf_counter())
            for fd, _ in poll.poll(AGAIN_S * 200):
                probe = by_fd[fd]
                if probe.receive():
                    if probe.done:
                        poll.unregister(fd)
                        del by_fd[fd]
                    else:
                        probe.send(time.perf_counter())

    def _pong(self, index: int) -> Pong:
        if index in self._failed:
            return Pong(error=self._failed[index])
        probe = self._probes[index]
        return Pong(round(min(probe.times), 3)) if probe.times else Pong(error=probe.error)


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
