"""Traffic between two namespaces, and what a receiver sees of it."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.netlink.netns import entered
from meshnet.netlink.opening import SO_RCVBUFFORCE, enlarge
from meshnet.testing.frames import ETH_P_ALL, PACKET_OUTGOING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.testing.node import Namespace

PATIENCE_S = 3.0
"""How long an answer may take in all: a neighbour must be found, carrier must settle."""
TRY_S = 0.3
LOAD_BYTES = 8 << 20
PIECE_BYTES = 1 << 20
LOAD_S = 60.0
"""How long a load may take in all; it has failed as soon as a piece takes longer than `PATIENCE_S`."""
MOST_CAPTURED = 4000
"""Frames."""

_TSO_RTT_LOG = Path("/proc/sys/net/ipv4/tcp_tso_rtt_log")
_ECHO = {4: (socket.AF_INET, socket.IPPROTO_ICMP, 8, 0), 6: (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128, 129)}


def ping(source: Namespace, address: str, *, patience_s: float = PATIENCE_S) -> bool:
    """Tell whether `address` (without prefix length) answers an echo request from `source`."""
    version = ipaddress.ip_address(address).version
    family, protocol, request, reply = _ECHO[version]
    with entered(source.fd), contextlib.closing(socket.socket(family, socket.SOCK_RAW, protocol)) as sock:
        sock.settimeout(TRY_S)
        token = os.urandom(8)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            head = struct.pack("!BBHHH", request, 0, 0, 1, 1)
            checked = struct.pack("!BBHHH", request, 0, internet_checksum(head + token), 1, 1)
            with contextlib.suppress(OSError):  # unreachable as yet
                sock.sendto(checked + token, (address, 0))
                if _answered(sock, token, reply, version):
                    return True
            time.sleep(0.01)
    return False


def _answered(sock: socket.socket, token: bytes, reply: int, version: int) -> bool:
    deadline = time.monotonic() + TRY_S
    while time.monotonic() < deadline:
        packet = sock.recv(2048)
        message = packet[(packet[0] & 15) * 4 :] if version == 4 else packet
        if message[0] == reply and message[8:] == token:
            return True
    return False


def tcp_load(sender: Namespace, receiver: Namespace, address: str, *, size: int = LOAD_BYTES) -> int:
    """Send `size` bytes by TCP to `address` in `receiver`; return how many arrived until it was done or stood still."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with entered(receiver.fd):
        listener = socket.create_server((address, 0), family=family)
    with entered(sender.fd):
        _leave_large_frames()
        client = socket.socket(family)
    arrived: list[int] = []
    thread = threading.Thread(target=lambda: arrived.append(_drain(listener)), name="tcp-receiver")
    with contextlib.closing(listener), contextlib.closing(client):
        listener.settimeout(PATIENCE_S)
        client.settimeout(PATIENCE_S)
        thread.start()
        try:
            client.connect(listener.getsockname()[:2])
            send_steadily(client, size)
        except OSError:
            pass  # what arrived tells
        finally:
            client.close()
            thread.join()
    return arrived[0]


def _leave_large_frames() -> None:
    """Have TCP of this thread's namespace make frames as large as may be, however slow this machine is.

    They are as long as what it sends in a millisecond otherwise (Linux 5.18 and later: net.ipv4.tcp_tso_rtt_log).
    """
    with contextlib.suppress(OSError):
        _TSO_RTT_LOG.write_text("31")  # of any round trip's microseconds, shifted by so much, nothing is left


def send_steadily(client: socket.socket, size: int) -> None:
    """Send `size` bytes in pieces, each in the time that `client` has for one: only what stands still has failed.

    Raises: TimeoutError.
    """
    deadline = time.monotonic() + LOAD_S
    piece = bytes(PIECE_BYTES)
    while size > 0 and time.monotonic() < deadline:
        client.sendall(piece[:size])
        size -= PIECE_BYTES


def _drain(listener: socket.socket) -> int:
    total = 0
    try:
        connection, _ = listener.accept()
        with contextlib.closing(connection):
            connection.settimeout(PATIENCE_S)
            while data := connection.recv(1 << 18):
                total += len(data)
    except OSError:
        pass
    return total


@contextlib.contextmanager
def captured(namespace: Namespace, interface: str, *, sent: bool = False) -> Iterator[list[bytes]]:
    """Collect what `interface` receives, or what is `sent`, during the ``with``, as who reads raw frames sees it."""
    with entered(namespace.fd):
        # Protocol 0 hears nothing, so nothing of another interface comes in before the bind.
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    frames: list[bytes] = []
    done = threading.Event()

    def collect() -> None:
        while len(frames) < MOST_CAPTURED:
            try:
                frame, where = sock.recvfrom(1 << 19)
            except TimeoutError:
                if done.is_set():  # and all that came before is read
                    return
                continue
            if (where[2] == PACKET_OUTGOING) is sent:
                frames.append(frame)

    with sock:
        enlarge(sock, socket.SO_RCVBUF, SO_RCVBUFFORCE, 16 << 20)
        sock.bind((interface, ETH_P_ALL))
        sock.settimeout(0.05)
        thread = threading.Thread(target=collect, name="capture")
        thread.start()
        try:
            yield frames
        finally:
            done.set()
            thread.join()


def dishonest(frames: list[bytes], mtu: int) -> list[str]:
    """Return what is wrong with received frames: longer than the MTU allows, or with a checksum that is not theirs."""
    wrong = []
    for frame in frames:
        kind, packet = struct.unpack_from("!H", frame, 12)[0], frame[14:]
        if kind not in (0x0800, 0x86DD):
            continue
        if len(packet) > mtu:
            wrong.append(f"a frame of {len(frame)} bytes, the MTU allows {mtu + 14}")
        elif not _checksum_is_right(packet):
            wrong.append(f"a frame of {len(frame)} bytes with a wrong transport checksum")
    return wrong


def _checksum_is_right(packet: bytes) -> bool:
    if packet[0] >> 4 == 4:
        head, protocol = (packet[0] & 15) * 4, packet[9]
        segment = packet[head : struct.unpack_from("!H", packet, 2)[0]]
        ends = packet[12:20]
    else:
        protocol = packet[6]
        segment = packet[40 : 40 + struct.unpack_from("!H", packet, 4)[0]]
        ends = packet[8:40]
    if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return True
    return internet_checksum(ends + struct.pack("!HH", protocol, len(segment)) + segment) == 0


def internet_checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071) of `data`; 0 over data that carries its own right one."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
