"""A real unix-socket server that plays the daemon, well or badly, for the tests of the plugin."""

import array
import contextlib
import os
import socket
import threading
from dataclasses import dataclass, field

from meshnet.cni.frame import FrameDecoder, encode_reply

STEP_S = 20  # no connection of a test lasts longer


@dataclass
class Seen:
    """What one connection brought; `inodes` of the descriptors, `links` as the netlink socket among them sees them."""

    env: dict[str, str]
    body: bytes
    inodes: list[int] = field(default_factory=list)
    links: bytes = b""


def dump_links(netlink):
    """The kernel's dump of the interfaces that a NETLINK_ROUTE socket sees."""
    netlink.settimeout(STEP_S)
    netlink.send(b"\x20\0\0\0\x12\0\1\3\1\0\0\0\0\0\0\0" + bytes(16))  # RTM_GETLINK, dump
    answer = b""
    while True:
        piece = netlink.recv(1 << 20)
        answer += piece
        if piece[4:6] == b"\3\0":  # NLMSG_DONE comes in a datagram of its own
            return answer


class Daemon:
    """Listens on `path`; `behave` is called with a connection and its number, counted from 0."""

    def __init__(self, path, behave=None):
        self.path = path
        self.seen = []
        self.calls = 0
        self._behave = behave or answer(b"{}")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.fspath(path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(STEP_S)
        self._listener.close()
        self.path.unlink()
        assert not self._thread.is_alive()

    def _serve(self):
        while True:
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            conn.settimeout(STEP_S)
            number, self.calls = self.calls, self.calls + 1
            with conn, contextlib.suppress(ConnectionError):
                self._behave(self, conn, number)

    def receive(self, conn):
        """Read one whole request, noting it in `seen`."""
        decoder, frame, fds = FrameDecoder(), None, array.array("i")
        while frame is None:
            data, ancillary, _, _ = conn.recvmsg(65536, socket.CMSG_SPACE(4 * fds.itemsize))
            if not data:
                raise ConnectionResetError
            for _, _, raw in ancillary:
                fds.frombytes(raw)
            frame = decoder.feed(data)
        seen = Seen(frame.env, frame.body, [os.fstat(fd).st_ino for fd in fds])
        if len(fds) == 2:
            with socket.socket(fileno=fds[1]) as netlink:
                seen.links = dump_links(netlink)
            os.close(fds[0])
        self.seen.append(seen)


def answer(body, code=0):
    """Behaves: takes the request and answers."""

    def behave(daemon, conn, _number):
        daemon.receive(conn)
        conn.sendall(encode_reply(code, body))

    return behave


def first(count, bad, then):
    """Behaves like `bad` for the first `count` connections."""

    def behave(daemon, conn, number):
        (bad if number < count else then)(daemon, conn, number)

    return behave


def hang_up(_daemon, _conn, _number):
    """Dies before reading."""


def hang_up_later(daemon, conn, _number):
    """Dies in the middle of its work."""
    daemon.receive(conn)


def raw(data):
    """Sends `data` and dies."""

    def behave(daemon, conn, _number):
        daemon.receive(conn)
        conn.sendall(data)

    return behave


def refuse(data):
    """Answers before it has read anything."""

    def behave(_daemon, conn, _number):
        conn.sendall(data)

    return behave
