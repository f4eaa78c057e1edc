"""Frames that a cable must carry, and sockets that send and receive them whole.

A cable carries any Ethernet frame unchanged. The corpus has one of each kind that something in between tends to eat or
to alter: link-local group addresses, VLAN tags, LLC, odd sources, the shortest and the longest.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import time
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from meshnet.netlink.netns import entered

if TYPE_CHECKING:
    from collections.abc import Iterable

SOURCE = bytes.fromhex("0200000000aa")
UNICAST = bytes.fromhex("0200000000bb")

ETH_P_ALL = 3
PACKET_ADD_MEMBERSHIP = 1
PACKET_AUXDATA = 8
PACKET_MR_PROMISC = 1
PACKET_OUTGOING = 4
SOL_PACKET = 263
TP_STATUS_VLAN_VALID = 0x10
TP_STATUS_VLAN_TPID_VALID = 0x40
TAG_802_1Q = 0x8100
LARGEST_FRAME = 1 << 16

# struct tpacket_auxdata: status, length, snapped length, offsets of MAC and network header, VLAN tag, its protocol.
_AUXDATA = struct.Struct("=IIIHHHH")

Verdict = Literal["passed", "changed", "lost", "unsendable"]


class Frame(NamedTuple):
    """A frame from its destination address to its last byte, without checksum."""

    name: str
    data: bytes


def _frame(name: str, destination: bytes | str, rest: bytes, *, source: bytes = SOURCE) -> Frame:
    raw = bytes.fromhex(destination) if isinstance(destination, str) else destination
    head = raw + source + rest
    filling = bytes(range(256))
    return Frame(name, head + filling[: max(0, 60 - len(head))])


def _llc(header: bytes, size: int) -> bytes:
    """An 802.3 length and that many bytes that begin with `header`."""
    return struct.pack("!H", size) + header + bytes(size - len(header))


CORPUS: tuple[Frame, ...] = (
    _frame("unicast", UNICAST, b"\x08\x00" + b"x" * 46),
    _frame("LLDP", "0180c200000e", b"\x88\xcc\x02\x07\x04" + SOURCE),
    _frame("STP", "0180c2000000", _llc(b"\x42\x42\x03", 38)),
    _frame("PAUSE", "0180c2000001", b"\x88\x08\x00\x01\x00\x00"),
    _frame("LACP", "0180c2000002", b"\x88\x09\x01\x01" + b"L" * 108),
    _frame("EAPOL", "0180c2000003", b"\x88\x8e\x02\x00\x00\x00"),
    _frame("GVRP", "0180c2000021", _llc(b"\x42\x42\x03", 38)),
    _frame("CDP", "01000ccccccc", _llc(b"\xaa\xaa\x03", 40)),
    _frame("IS-IS", "0180c2000014", _llc(b"\xfe\xfe\x03\x83", 100)),
    _frame("802.1Q", UNICAST, b"\x81\x00\x00\x64\x08\x00" + b"v" * 46),
    _frame("QinQ", UNICAST, b"\x88\xa8\x00\xc8\x81\x00\x00\x64\x08\x00" + b"q" * 46),
    _frame("priority tag", UNICAST, b"\x81\x00\xa0\x00\x08\x00" + b"p" * 46),
    _frame("MPLS", UNICAST, b"\x88\x47" + struct.pack("!I", 1000 << 12 | 0x100 | 64) + b"m" * 46),
    _frame("PTP", "011b19000000", b"\x88\xf7" + b"t" * 46),
    _frame("experimental", UNICAST, b"\x88\xb5" + b"e" * 46),
    _frame("multicast source", UNICAST, b"\x88\xb5" + b"b" * 46, source=bytes.fromhex("01005e000001")),
    _frame("OSPF", "01005e000005", b"\x08\x00" + b"o" * 46),
    _frame("IPv6 multicast", "333300000005", b"\x86\xdd" + b"6" * 46),
    Frame("runt", UNICAST + SOURCE + b"\x88\xb5"),
    _frame("full", UNICAST, b"\x88\xb5" + b"F" * 1500),
    _frame("802.1Q full", UNICAST, b"\x81\x00\x00\x64\x08\x00" + b"V" * 1500),
    _frame("QinQ full", UNICAST, b"\x88\xa8\x00\xc8\x81\x00\x00\x64\x08\x00" + b"Q" * 1500),
)
"""For an MTU of 1500. The sender's own kernel refuses the last one (EMSGSIZE): it allows one tag more, not two."""


class FrameSocket:
    """Sends and receives whole frames at an interface, in the namespace of `netns_fd` or in the calling thread's.

    Raises OSError when there is no such interface, KernelError when the namespace may not be entered.
    """

    def __init__(self, interface: str, netns_fd: int | None = None) -> None:
        with contextlib.nullcontext() if netns_fd is None else entered(netns_fd):
            self._socket = _packet_socket(interface)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        """Send a frame. Raises OSError: EMSGSIZE when it is longer than the interface allows, ENETDOWN."""
        self._socket.send(data)

    def receive(self, timeout: float) -> bytes | None:
        """Return the next frame that came in, its VLAN tag where the sender put it; None after `timeout` seconds."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                data, ancillary, _, address = self._socket.recvmsg(LARGEST_FRAME, socket.CMSG_SPACE(_AUXDATA.size))
            except TimeoutError:
                return None
            if address[2] != PACKET_OUTGOING:
                return _tagged(data, ancillary)
        return None

    def drain(self) -> None:
        """Forget what came in so far."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(1)
        except BlockingIOError:
            pass


def judge(
    sender: FrameSocket, receiver: FrameSocket, frames: Iterable[Frame] = CORPUS, *, timeout: float = 1.0
) -> dict[str, Verdict]:
    """Send each frame and return by name what became of it.

    A frame counts as changed when another one with its source address came instead, within `timeout` seconds.
    """
    return {frame.name: _verdict(sender, receiver, frame.data, timeout) for frame in frames}


def _verdict(sender: FrameSocket, receiver: FrameSocket, data: bytes, timeout: float) -> Verdict:
    receiver.drain()
    try:
        sender.send(data)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        return "unsendable"
    verdict: Verdict = "lost"
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        came = receiver.receive(left)
        if came == data:
            return "passed"
        if came is not None and came[6:12] == data[6:12]:
            verdict = "changed"
    return verdict


def _packet_socket(interface: str) -> socket.socket:
    # Protocol 0 hears nothing, so nothing of another interface comes in before the bind.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        sock.bind((interface, ETH_P_ALL))
        sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        membership = struct.pack("=iHH8s", socket.if_nametoindex(interface), PACKET_MR_PROMISC, 0, b"")
        sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
    except BaseException:
        sock.close()
        raise
    return sock


def _tagged(data: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """Put back the outermost VLAN tag, which the kernel takes out of a received frame."""
    for level, kind, value in ancillary:
        if (level, kind) != (SOL_PACKET, PACKET_AUXDATA):
            continue
        status, _, _, _, _, tag, protocol = _AUXDATA.unpack(value)
        if status & TP_STATUS_VLAN_VALID:
            protocol = protocol if status & TP_STATUS_VLAN_TPID_VALID else TAG_802_1Q
            return data[:12] + struct.pack("!HH", protocol, tag) + data[12:]
    return data
