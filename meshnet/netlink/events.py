"""What happens to links, in every namespace that has a number in the node's.

One socket hears a pod's ``ip link set eth1 down``, a deletion, a move, and the end of a namespace. A classic BPF filter
on it leaves out everything else before it costs anything.
"""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
from typing import TYPE_CHECKING, NamedTuple, Self

from meshnet.errors import KernelError
from meshnet.netlink.ifla import (
    IFF_UP,
    IFINFO,
    RTM_DELLINK,
    RTM_NEWLINK,
)
from meshnet.netlink.messages import discard, split
from meshnet.netlink.netns import NETNSA_NSID, RTM_DELNSID
from meshnet.netlink.opening import NETLINK_ROUTE, SO_RCVBUFFORCE, SOL_NETLINK, enlarge
from meshnet.netlink.wire import HEADER, attributes, to_i32

if TYPE_CHECKING:
    from collections.abc import Iterator

NETLINK_ADD_MEMBERSHIP = 1
NETLINK_LISTEN_ALL_NSID = 8
RTNLGRP_LINK = 1
RTNLGRP_NSID = 28
SO_ATTACH_FILTER = 26

BUFFER = 16 << 20
LARGEST_DATAGRAM = 1 << 16
READS_AT_ONCE = 256

# Classic BPF: (code, jump if true, jump if false, constant).
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE, _JUMP_IF_EQUAL, _JUMP_IF_SET, _RETURN = 0x20, 0x28, 0x30, 0x15, 0x45, 0x06
_TYPE_OFFSET = 4
_FAMILY_OFFSET = HEADER.size
_CHANGE_OFFSET = HEADER.size + 12


class Overrun(KernelError):  # noqa: N818 - it names what happened
    """Events were lost, nobody knows which: read the state of everything."""

    def __init__(self) -> None:
        super().__init__(errno.ENOBUFS, "hear what happens to links", "events were lost")


class LinkEvent(NamedTuple):
    """A link was made, went up or down, or is gone.

    Attributes:
        nsid: number of the namespace it happened in; None is the monitor's own.
        ifindex: of the link there. 0: the namespace itself is gone, with all in it, and its number is free for another.
        gone: the link is not in that namespace any more; it may be in another one. Reading its port again tells: that
            gives the other a number, and from then on it is heard.
        up: administratively up (IFF_UP).
    """

    nsid: int | None
    ifindex: int
    gone: bool
    up: bool


class LinkMonitor:
    """Hears link events in the calling thread's namespace and in every one that has a number there.

    Readable (`fileno`) means that `read` has something. Raises KernelError, EPERM without CAP_NET_BROADCAST.
    """

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, NETLINK_ROUTE)
        try:
            self._listen()
        except BaseException:
            self._socket.close()
            raise

    def _listen(self) -> None:
        enlarge(self._socket, socket.SO_RCVBUF, SO_RCVBUFFORCE, BUFFER)
        try:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
        except PermissionError as error:
            what = "hear the links of all namespaces (NETLINK_LISTEN_ALL_NSID)"
            raise KernelError(errno.EPERM, what, "it needs CAP_NET_BROADCAST") from error
        _attach(self._socket, _filter())
        self._socket.bind((0, 0))
        for group in (RTNLGRP_LINK, RTNLGRP_NSID):
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def read(self) -> list[LinkEvent]:
        """Return what happened since the last time, in order; `[]` for nothing. Never waits.

        Raises Overrun when events were lost. Then all that is waiting is thrown away, too: it tells how things were
        before the lost ones, and would be taken for news after reading how they are.
        """
        events: list[LinkEvent] = []
        for _ in range(READS_AT_ONCE):
            try:
                data, ancillary, _, _ = self._socket.recvmsg(LARGEST_DATAGRAM, socket.CMSG_SPACE(4))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    discard(self._socket)
                    raise Overrun from error
                raise KernelError(error.errno or errno.EIO, "hear what happens to links") from error
            events += _events(data, _nsid(ancillary))
        return events


def _nsid(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, value in ancillary:
        if (level, kind) == (SOL_NETLINK, NETLINK_LISTEN_ALL_NSID):
            return to_i32(value)
    return None


def _events(data: bytes, nsid: int | None) -> Iterator[LinkEvent]:
    for message in split(data):
        if message.type in (RTM_NEWLINK, RTM_DELLINK):
            yield _link_event(message.payload, nsid, gone=message.type == RTM_DELLINK)
        elif message.type == RTM_DELNSID and nsid is None:  # other namespaces' numbers mean nothing here
            number = to_i32(attributes(message.payload, 4)[NETNSA_NSID])
            yield LinkEvent(number, 0, gone=True, up=False)


def _link_event(body: bytes, nsid: int | None, *, gone: bool) -> LinkEvent:
    # Its sixty attributes are not walked: a burst of ADDs makes thousands of events.
    _, _, ifindex, flags, _ = IFINFO.unpack_from(body)
    return LinkEvent(nsid, ifindex, gone, bool(flags & IFF_UP))


def _filter() -> bytes:
    """Pass deletions of links and of namespace numbers, and links whose IFF_UP changed (a new one's, too).

    Not what is said in the words of a family: of AF_BRIDGE, a deletion is that a link has left its bridge.
    """
    return b"".join(
        _INSTRUCTION.pack(*instruction)
        for instruction in (
            (_LOAD_BYTE, 0, 0, _FAMILY_OFFSET),
            (_JUMP_IF_EQUAL, 0, 7, socket.AF_UNSPEC),
            (_LOAD_HALF, 0, 0, _TYPE_OFFSET),
            (_JUMP_IF_EQUAL, 4, 0, _as_loaded(RTM_DELLINK, 2)),
            (_JUMP_IF_EQUAL, 3, 0, _as_loaded(RTM_DELNSID, 2)),
            (_JUMP_IF_EQUAL, 0, 3, _as_loaded(RTM_NEWLINK, 2)),
            (_LOAD_WORD, 0, 0, _CHANGE_OFFSET),
            (_JUMP_IF_SET, 0, 1, _as_loaded(IFF_UP, 4)),
            (_RETURN, 0, 0, 0xFFFFFFFF),
            (_RETURN, 0, 0, 0),
        )
    )


def _as_loaded(value: int, size: int) -> int:
    """Return the number that a BPF load, which is big-endian, sees where the host stores `value`."""
    return int.from_bytes(value.to_bytes(size, sys.byteorder), "big")


def _attach(sock: socket.socket, program: bytes) -> None:
    code = ctypes.create_string_buffer(program, len(program))
    length = len(program) // _INSTRUCTION.size
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", length, ctypes.addressof(code)))
