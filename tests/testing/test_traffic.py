"""The kit's own eyes: it must see what is wrong with frames, and what is right."""

import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from meshnet.netlink.addresses import add_address
from meshnet.netlink.netns import entered
from meshnet.testing import traffic
from meshnet.testing.node import NIC, OUTSIDE
from meshnet.testing.traffic import captured, dishonest, internet_checksum, ping, send_steadily, tcp_load

HEAD = bytes(12)
SO_MAX_PACING_RATE = 47


def ipv4(segment, protocol=17, *, padding=b""):
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 0, 0, 64, protocol, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
    )
    return HEAD + b"\x08\x00" + header + segment + padding


def ipv6(segment, protocol=17):
    ends = bytes(15) + b"\1" + bytes(15) + b"\2"
    return HEAD + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(segment), protocol, 64) + ends + segment


def udp(ends, payload, *, off=0):
    size = 8 + len(payload)
    bare = struct.pack("!HHHH", 1, 2, size, 0) + payload
    checksum = internet_checksum(ends + struct.pack("!HH", 17, size) + bare)
    return struct.pack("!HHHH", 1, 2, size, checksum ^ off) + payload


class Paced(socket.socket):
    """Sends no faster than a machine would that emulates another."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, 2 << 20)


V4 = b"\x0a\0\0\1\x0a\0\0\2"
V6 = bytes(15) + b"\1" + bytes(15) + b"\2"


@pytest.mark.parametrize(
    "frame",
    [
        ipv4(udp(V4, b"even")),
        ipv4(udp(V4, b"odd")),
        ipv4(udp(V4, b"x"), padding=bytes(17)),
        ipv6(udp(V6, b"hello")),
        ipv4(b"whatever", protocol=89),
        HEAD + b"\x88\xcc" + bytes(2000),
    ],
)
def test_honest_frames_are_fine(frame):
    assert dishonest([frame], 1500) == []


@pytest.mark.parametrize("frame", [ipv4(udp(V4, b"x", off=1)), ipv6(udp(V6, b"x", off=1))])
def test_a_wrong_checksum_is_seen(frame):
    (wrong,) = dishonest([frame], 1500)

    assert "wrong transport checksum" in wrong


def test_a_frame_beyond_the_mtu_is_seen():
    (wrong,) = dishonest([ipv4(udp(V4, bytes(1473)))], 1500)

    assert wrong == "a frame of 1515 bytes, the MTU allows 1514"


@pytest.mark.kernel
def test_a_plain_veth_is_seen_to_be_dishonest(meshnet_node):
    """The kernel's default: large frames, checksums left to the receiver."""
    meshnet_node.netlink.run([add_address(meshnet_node.link(NIC).ifindex, "192.0.2.1/24")])

    with captured(meshnet_node.sink, OUTSIDE) as frames:
        assert tcp_load(meshnet_node, meshnet_node.sink, "192.0.2.254", size=1 << 20) == 1 << 20

    assert dishonest(frames, 9000)


@pytest.mark.kernel
def test_a_capture_has_frames_of_its_interface_alone(meshnet_node, monkeypatch):
    """Also when others come while it begins."""

    def meanwhile(*_):
        assert ping(meshnet_node, "127.0.0.1")

    monkeypatch.setattr(traffic, "enlarge", meanwhile)
    with captured(meshnet_node, NIC) as frames:
        pass

    assert [frame for frame in frames if frame[12:14] == b"\x08\x00"] == []


@pytest.mark.kernel
def test_a_capture_at_no_interface_leaves_no_descriptor(meshnet_node):
    before = os.listdir("/proc/self/fd")

    with pytest.raises(OSError, match="No such device"), captured(meshnet_node, "nowhere0"):
        pass

    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.kernel
def test_a_load_has_large_frames_however_slow_it_is(meshnet_node, monkeypatch):
    """TCP sends what it has for a millisecond: two segments here, if round trips are not told to be short."""
    with entered(meshnet_node.fd):
        Path("/proc/sys/net/ipv4/tcp_tso_rtt_log").write_text("0")
    meshnet_node.netlink.run([add_address(meshnet_node.link(NIC).ifindex, "192.0.2.1/24")])
    monkeypatch.setattr(socket, "socket", Paced)

    with captured(meshnet_node.sink, OUTSIDE) as frames:
        assert tcp_load(meshnet_node, meshnet_node.sink, "192.0.2.254", size=2 << 20) == 2 << 20

    assert max(map(len, frames)) > 40_000


@pytest.mark.kernel
def test_ping_tells_who_answers(meshnet_node):
    assert ping(meshnet_node, "127.0.0.1")
    assert ping(meshnet_node, "::1")
    assert not ping(meshnet_node, "192.0.2.254", patience_s=0.2)


@pytest.mark.kernel
def test_a_load_that_nobody_takes_arrives_nowhere(meshnet_node):
    assert tcp_load(meshnet_node.pod("r1"), meshnet_node.sink, "192.0.2.254", size=1000) == 0


def test_a_load_that_is_slow_but_goes_on_is_sent():
    """A machine that emulates another takes seconds for tens of megabytes: all of it may take longer than a piece."""
    sender, receiver = socket.socketpair()
    taken = []

    def take():
        while data := receiver.recv(1 << 18):
            taken.append(len(data))
            time.sleep(0.05)

    with sender, receiver:
        sender.settimeout(1)
        thread = threading.Thread(target=take, name="slow-receiver")
        thread.start()
        started = time.monotonic()
        send_steadily(sender, (8 << 20) + 1)
        assert time.monotonic() - started > 1
        sender.close()
        thread.join()

    assert sum(taken) == (8 << 20) + 1


def test_a_load_that_stands_still_is_given_up():
    sender, receiver = socket.socketpair()
    with sender, receiver:
        sender.settimeout(0.05)
        with pytest.raises(TimeoutError):
            send_steadily(sender, 8 << 20)


def test_the_checksum_is_that_of_the_rfc():
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
