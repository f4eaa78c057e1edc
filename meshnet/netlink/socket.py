"""A netlink socket: requests in one send, their answers, dumps.

The kernel executes a request inside `send`, and its answer is queued when that returns. So nothing here waits for an
event, and the event loop may call it; what holds the kernel's lock for long (deleting, moving) belongs in a thread with
a socket of its own.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple, Self

from meshnet.errors import KernelError
from meshnet.netlink.netns import entered
from meshnet.netlink.wire import (
    HEADER,
    NLM_F_ACK,
    NLM_F_ACK_TLVS,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    attributes,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshnet.netlink.wire import Request

NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12
NLMSGERR_ATTR_MSG = 1
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33

BUFFER = 4 << 20
LARGEST_DATAGRAM = 1 << 16
# What the kernel charges a receive buffer for one answer, rounded up: a link's message with its bookkeeping.
ANSWER_COST = 4096
DUMP_TRIES = 10
ANSWER_TIMEOUT = struct.pack("@ll", 30, 0)

_SEQUENCE_MASK = 0xFFFFFFFF


class BatchError(KernelError):
    """Requests of a batch failed; the kernel carried out all the others, those after a failing one too.

    Attributes:
        failures: (position in the batch, error) of each that failed. The first one is this error's own text.
    """

    def __init__(self, failures: Sequence[tuple[int, KernelError]]) -> None:
        self.failures = tuple(failures)
        first = self.failures[0][1]
        super().__init__(first.errno, first.what, first.detail)


class _Message(NamedTuple):
    type: int
    flags: int
    sequence: int
    payload: bytes


class Netlink:
    """A NETLINK_ROUTE socket that stays in the network namespace it was opened in.

    Not for two threads at once. Closing it twice is allowed.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._sequence = 0
        self._buffer = bytearray(LARGEST_DATAGRAM)
        _configure(sock)
        self._room = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - 1024
        self._answers = max(1, sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // ANSWER_COST)

    @classmethod
    def open(cls, netns_fd: int | None = None) -> Self:
        """Open a socket in the namespace of `netns_fd`, or in the calling thread's.

        Raises KernelError when that namespace may not be entered.
        """
        if netns_fd is None:
            return cls(_route_socket())
        with entered(netns_fd):
            sock = _route_socket()
        return cls(sock)

    @classmethod
    def adopt(cls, fd: int) -> Self:
        """Take over the descriptor of a socket that somebody else opened, also when this raises.

        Raises KernelError when it is not a NETLINK_ROUTE socket.
        """
        sock = socket.socket(fileno=fd)
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
        if failures:
            raise BatchError(failures)
        return [payload for _, payload in answers]

    def ask(self, request: Request) -> bytes:
        """Return the payload of the one answer to `request`. Raises KernelError."""
        answers, failures = self._exchange((request,))
        if failures:
            raise failures[0][1]
        if not answers:
            raise KernelError(errno.ENODATA, request.what, "the kernel did it but answered nothing")
        return answers[0][1]

    def ask_many(self, requests: Sequence[Request]) -> list[bytes | KernelError]:
        """Return for each request the payload of its answer, or the error it met."""
        results: list[bytes | KernelError] = [KernelError(errno.ENODATA, request.what) for request in requests]
        answers, failures = self._exchange(requests)
        for index, payload in answers:
            results[index] = payload
        for index, error in failures:
            results[index] = error
        return results

    def dump(self, request: Request) -> list[bytes]:
        """Return the payload of every object that `request` asks for, as it was at one moment.

        Raises KernelError; EINTR when the list changed under each of several tries.
        """
        for _ in range(DUMP_TRIES):
            payloads = self._dump_once(request)
            if payloads is not None:
                return payloads
        raise KernelError(errno.EINTR, request.what, f"what it lists changed during each of {DUMP_TRIES} tries")

    def _exchange(self, requests: Sequence[Request]) -> tuple[list[tuple[int, bytes]], list[tuple[int, KernelError]]]:
        answers: list[tuple[int, bytes]] = []
        failures: list[tuple[int, KernelError]] = []
        start = 0
        while start < len(requests):
            data, stop = self._pack(requests, start)
            first = self._sequence - (stop - start) + 1
            self._send(data, requests[start].what)
            self._collect(requests, start, first, stop - start, answers, failures)
            start = stop
        return answers, failures

    def _pack(self, requests: Sequence[Request], start: int) -> tuple[bytes, int]:
        """Number and join requests from `start` on, as many as the buffers hold; only the last asks for an ack."""
        parts: list[bytes] = []
        room = self._room
        stop = start
        limit = min(len(requests), start + self._answers)
        while stop < limit:
            kind, flags, body, _ = requests[stop]
            length = 16 + len(body)
            room -= length + 3
            if room < 0 and stop > start:
                break
            stop += 1
            flags |= NLM_F_REQUEST
            if stop == limit:
                flags |= NLM_F_ACK
            self._sequence = sequence = (self._sequence + 1) & _SEQUENCE_MASK
            parts += (HEADER.pack(length, kind, flags, sequence, 0), body, bytes(-length & 3))
        else:
            return b"".join(parts), stop
        kind, flags, body, _ = requests[stop - 1]
        parts[-3] = HEADER.pack(16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, self._sequence, 0)
        return b"".join(parts), stop

    def _send(self, data: bytes, what: str) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, what, "sending it") from error

    def _collect(
        self,
        requests: Sequence[Request],
        start: int,
        first: int,
        count: int,
        answers: list[tuple[int, bytes]],
        failures: list[tuple[int, KernelError]],
    ) -> None:
        """Read until the last request of the batch is acknowledged or refused."""
        while True:
            for message in self._receive(requests[start].what):
                position = (message.sequence - first) & _SEQUENCE_MASK
                if position >= count:
                    continue  # the late answer of an exchange that was given up
                if message.type != NLMSG_ERROR:
                    answers.append((start + position, message.payload))
                    continue
                error = _error(message, requests[start + position].what)
                if error is not None:
                    failures.append((start + position, error))
                if position == count - 1:
                    return

    def _dump_once(self, request: Request) -> list[bytes] | None:
        """Return the payloads, or None when the list changed meanwhile."""
        self._sequence = sequence = (self._sequence + 1) & _SEQUENCE_MASK
        flags = request.flags | NLM_F_REQUEST | NLM_F_DUMP
        self._send(HEADER.pack(16 + len(request.body), request.type, flags, sequence, 0) + request.body, request.what)
        payloads: list[bytes] = []
        interrupted = False
        while True:
            for message in self._receive(request.what):
                if message.sequence != sequence:
                    continue
                interrupted = interrupted or bool(message.flags & NLM_F_DUMP_INTR)
                if message.type == NLMSG_ERROR or message.type == NLMSG_DONE:
                    error = _error(message, request.what)
                    if error is not None:
                        raise error
                    return None if interrupted else payloads
                payloads.append(message.payload)

    def _receive(self, what: str) -> Iterator[_Message]:
        """Return the messages of the next datagram.

        Raises KernelError: ENOBUFS when answers were lost for want of room, ETIMEDOUT when none comes.
        """
        try:
            length = self._socket.recv_into(self._buffer, 0, socket.MSG_TRUNC)
        except BlockingIOError:
            raise KernelError(errno.ETIMEDOUT, what, "the kernel did not answer") from None
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, what, "reading the answer") from error
        if length > LARGEST_DATAGRAM:
            raise KernelError(errno.EMSGSIZE, what, f"the answer has {length} bytes, the buffer {LARGEST_DATAGRAM}")
        return _messages(bytes(memoryview(self._buffer)[:length]))


def _route_socket() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_ROUTE)


def _configure(sock: socket.socket) -> None:
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


def _messages(data: bytes) -> Iterator[_Message]:
    offset = 0
    end = len(data)
    while offset + 16 <= end:
        length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
        if length < 16:
            return
        yield _Message(kind, flags, sequence, data[offset + 16 : offset + length])
        offset += (length + 3) & ~3


def _error(message: _Message, what: str) -> KernelError | None:
    """Return the error in an ERROR or DONE message; None for success."""
    code = -int(struct.unpack_from("=i", message.payload)[0]) if len(message.payload) >= 4 else 0
    if code <= 0:
        return None
    detail = ""
    if message.flags & NLM_F_ACK_TLVS:
        # After the code, an ERROR message repeats the request's header; DONE does not.
        explanation = attributes(message.payload, 20 if message.type == NLMSG_ERROR else 4)
        detail = text(explanation.get(NLMSGERR_ATTR_MSG, b""))
    return KernelError(code, what, detail)
