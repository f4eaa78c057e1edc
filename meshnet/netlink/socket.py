"""A netlink socket: requests in one send, their answers, dumps.

The kernel executes a request inside `send`, and its answer is queued when that returns. So nothing here waits for an
event, and the event loop may call it; what holds the kernel's lock for long (deleting, moving) belongs in a thread with
a socket of its own.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from meshnet.errors import KernelError
from meshnet.netlink.messages import discard, failure, split
from meshnet.netlink.opening import NETLINK_ROUTE, prepare, route_socket
from meshnet.netlink.wire import (
    HEADER,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshnet.netlink.messages import Message
    from meshnet.netlink.wire import Request

# A link's alternative names alone may be 64 KiB, and whoever may set up a pod's interfaces gives them.
LARGEST_DATAGRAM = 1 << 17
# What the kernel charges a receive buffer for one answer, rounded up: a link's message with its bookkeeping.
ANSWER_COST = 4096
DUMP_TRIES = 10

SEQUENCE_MASK = 0xFFFFFFFF


class BatchError(KernelError):
    """Requests of a batch failed; the kernel carried out all the others, those after a failing one too.

    Attributes:
        failures: (position in the batch, error) of each that failed. The first one is this error's own text.
        echoes: what `run` would have returned: the payloads of those that echo.
    """

    def __init__(self, failures: Sequence[tuple[int, KernelError]], echoes: Sequence[bytes] = ()) -> None:
        self.failures = tuple(failures)
        self.echoes = tuple(echoes)
        first = self.failures[0][1]
        super().__init__(first.errno, first.what, first.detail)


class _Outcome(NamedTuple):
    """What an exchange brought, each with the position of its request."""

    answers: list[tuple[int, bytes]]
    failures: list[tuple[int, KernelError]]


class Netlink:
    """A NETLINK_ROUTE socket that stays in the network namespace it was opened in.

    Not for two threads at once. Closing it twice is allowed.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # Not from 0: an adopted socket may still hold answers to its former owner.
        self._sequence = time.monotonic_ns() & SEQUENCE_MASK
        self._buffer = bytearray(LARGEST_DATAGRAM)
        prepare(sock)
        self._room = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - 1024
        self._answers = max(1, sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // ANSWER_COST)

    @classmethod
    def open(cls, netns_fd: int | None = None) -> Self:
        """Open a socket in the namespace of `netns_fd`, or in the calling thread's.

        Raises KernelError when that namespace may not be entered.
        """
        return cls(route_socket(netns_fd))

    @classmethod
    def adopt(cls, fd: int) -> Self:
        """Take over the descriptor of a socket that somebody else opened, also when this raises.

        Raises KernelError when it is not a NETLINK_ROUTE socket.
        """
        try:
            sock = socket.socket(fileno=fd)
        except OSError as error:
            os.close(fd)
            raise KernelError(error.errno or errno.EIO, "adopt a netlink socket") from error
        try:
            if sock.family != socket.AF_NETLINK or sock.proto != NETLINK_ROUTE:
                raise KernelError(errno.EPROTOTYPE, "adopt a netlink socket", f"it is {sock.family!r}")
            sock.setblocking(True)
            sock.set_inheritable(False)
            return cls(sock)
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def run(self, requests: Sequence[Request]) -> list[bytes]:
        """Carry out all requests, in order; return the payloads of those that echo.

        Raises BatchError when any failed; the others are carried out all the same.
        """
        answers, failures = self._exchange(requests)
        echoes = [payload for _, payload in answers]
        if failures:
            raise BatchError(failures, echoes)
        return echoes

    def run_tolerating(self, requests: Sequence[Request], *harmless: int) -> None:
        """Carry out all requests, each of which may meet an errno that means it is so already.

        Raises KernelError, the first of any other.
        """
        try:
            self.run(requests)
        except BatchError as error:
            for _, failure in error.failures:
                if failure.errno not in harmless:
                    raise failure from None

    def ask(self, request: Request) -> bytes:
        """Return the payload of the one answer to `request`. Raises KernelError."""
        answers, failures = self._exchange((request,))
        if failures:
            raise failures[0][1]
        if not answers:
            raise KernelError(errno.ENODATA, request.what, "the kernel did it but answered nothing")
        return answers[0][1]

    def ask_many(self, requests: Sequence[Request]) -> list[bytes | KernelError]:
        """Return for each request, which only reads, the payload of its answer, or the error it met.

        Answers that there is no room for together are asked for one by one: no link hides what others are like.
        """
        try:
            answers, failures = self._exchange(requests)
        except KernelError as error:
            if error.errno not in (errno.ENOBUFS, errno.EMSGSIZE):
                raise
            return [self._asked(request) for request in requests]
        results: dict[int, bytes | KernelError] = {**dict(answers), **dict(failures)}
        return [
            results[index] if index in results else KernelError(errno.ENODATA, request.what)
            for index, request in enumerate(requests)
        ]

    def dump(self, request: Request, *, steady: bool = True) -> list[bytes]:
        """Return the payload of every object that `request` asks for, as it was at one moment.

        Raises KernelError; EINTR when the list changed under each of several tries, unless not `steady`: then it is
        returned as it is. What came or went may be missing, or there twice. So may be missing, for each that went, one
        that was there all the time where the kernel finds its place again by counting: in addresses.
        """
        for _ in range(DUMP_TRIES):
            payloads, interrupted = self._dump_once(request)
            if not interrupted:
                return payloads
        if not steady:
            return payloads
        raise KernelError(errno.EINTR, request.what, f"what it lists changed during each of {DUMP_TRIES} tries")

    def _asked(self, request: Request) -> bytes | KernelError:
        try:
            return self.ask(request)
        except KernelError as error:
            return error

    def _exchange(self, requests: Sequence[Request]) -> _Outcome:
        outcome = _Outcome([], [])
        start = 0
        while start < len(requests):
            stop = start + self._fitting(requests, start)
            self._exchange_at_once(requests[start:stop], start, outcome)
            start = stop
        return outcome

    def _fitting(self, requests: Sequence[Request], start: int) -> int:
        """Return how many requests from `start` on go into one send, without their answers overrunning the buffer."""
        room = self._room
        count = 0
        for request in requests[start : start + self._answers]:
            room -= HEADER.size + len(request.body) + 3
            if room < 0 and count:
                break
            count += 1
        return count

    def _exchange_at_once(self, requests: Sequence[Request], start: int, outcome: _Outcome) -> None:
        """Send, and read until the last request is acknowledged or refused."""
        first = self._sequence + 1
        last = len(requests) - 1
        self._send(self._pack(requests), requests[0].what)
        while True:
            for message in self._receive(requests[0].what):
                position = (message.sequence - first) & SEQUENCE_MASK
                if position > last:
                    continue  # the late answer of an exchange that was given up
                if message.type != NLMSG_ERROR:
                    outcome.answers.append((start + position, message.payload))
                    continue
                error = failure(message, requests[position].what)
                if error is not None:
                    outcome.failures.append((start + position, error))
                if position == last:
                    return

    def _pack(self, requests: Sequence[Request]) -> bytes:
        """Number and join requests. Only the last asks for an acknowledgement: errors come unasked."""
        parts: list[bytes] = []
        sequence = self._sequence
        last = len(requests) - 1
        for position, (kind, flags, body, _) in enumerate(requests):
            sequence = (sequence + 1) & SEQUENCE_MASK
            ack = NLM_F_ACK if position == last else 0
            length = HEADER.size + len(body)
            header = HEADER.pack(length, kind, flags | NLM_F_REQUEST | ack, sequence, 0)
            parts += (header, body, bytes(-length & 3))
        self._sequence = sequence
        return b"".join(parts)

    def _send(self, data: bytes, what: str) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, what, "sending it") from error

    def _dump_once(self, request: Request) -> tuple[list[bytes], bool]:
        """Return the payloads, and whether the list changed meanwhile."""
        self._sequence = sequence = (self._sequence + 1) & SEQUENCE_MASK
        flags = request.flags | NLM_F_REQUEST | NLM_F_DUMP
        length = HEADER.size + len(request.body)
        self._send(HEADER.pack(length, request.type, flags, sequence, 0) + request.body, request.what)
        payloads: list[bytes] = []
        interrupted = False
        while True:
            for message in self._receive(request.what):
                if message.sequence != sequence:
                    continue
                interrupted = interrupted or bool(message.flags & NLM_F_DUMP_INTR)
                if message.type in (NLMSG_ERROR, NLMSG_DONE):
                    error = failure(message, request.what)
                    if error is not None:
                        raise error
                    return payloads, interrupted
                payloads.append(message.payload)

    def _receive(self, what: str) -> Iterator[Message]:
        """Return the messages of the next datagram.

        Raises KernelError: ENOBUFS when answers were lost for want of room, ETIMEDOUT when none comes.
        """
        try:
            length = self._socket.recv_into(self._buffer, 0, socket.MSG_TRUNC)
        except BlockingIOError:
            raise KernelError(errno.ETIMEDOUT, what, "the kernel did not answer") from None
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise KernelError(error.errno or errno.EIO, what, "reading the answer") from error
            discard(self._socket)
            raise KernelError(errno.ENOBUFS, what, "answers were lost: what was done is unknown") from error
        if length > LARGEST_DATAGRAM:
            raise KernelError(errno.EMSGSIZE, what, f"the answer has {length} bytes, the buffer {LARGEST_DATAGRAM}")
        return split(bytes(memoryview(self._buffer)[:length]))
