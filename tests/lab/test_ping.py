"""Which addresses of two ends can reach each other, and the checksum of what is sent."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from pathlib import Path

import pytest

from meshnet.lab import ping
from meshnet.lab.ping import Ping, checksum, ping_all
from meshnet.lab.survey import reachable, ways
from meshnet.model.codec import decode_topology
from tests.lab.topologies import link, topology


def test_checksum_of_rfc_1071():
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF


def test_checksum_makes_the_sum_zero():
    data = bytes(range(64))
    assert checksum(data + checksum(data).to_bytes(2, "big")) == 0


@pytest.mark.parametrize(
    ("own", "others", "pairs"),
    [
        (["10.0.0.1/24"], ["10.0.0.2/24"], [("10.0.0.1", "10.0.0.2")]),
        (["10.0.0.1/24"], ["10.0.1.2/24"], []),
        (["10.0.0.1/24", "fd00::1/64"], ["fd00::2/64"], [("fd00::1", "fd00::2")]),
        (["10.0.0.1/24"], ["10.0.0.1/24"], []),
        ([], ["10.0.0.1/24"], []),
    ],
)
def test_addresses_of_one_subnet_and_family_reach_each_other(own, others, pairs):
    assert list(reachable(own, others)) == pairs


def test_link_of_a_pod_with_itself_is_not_pinged():
    """A kernel sends nothing out to an address of its own."""
    topologies = [
        decode_topology(topology("r1", *_both(1, "eth1", "eth2"), link(2, "eth3", "r2:eth1", "10.1.0.1/24"))),
        decode_topology(topology("r2", link(2, "eth1", "r1:eth3", "10.1.0.2/24"))),
    ]

    found = ways(topologies, {("default", "r1"): "/one", ("default", "r2"): "/two"})

    assert [way.ping.interface for way in found] == ["eth3", "eth1"]


def _both(uid: int, one: str, other: str) -> tuple[dict[str, object], ...]:
    return link(uid, one, f"r1:{other}", "10.0.0.1/24"), link(uid, other, f"r1:{one}", "10.0.0.2/24")


def _answer_late(sock: socket.socket, ended: threading.Event) -> None:
    due: deque[tuple[float, bytes]] = deque()
    while not ended.is_set():
        with contextlib.suppress(TimeoutError):
            message = sock.recv(2048)[20:]
            if message[0] == ping._ECHO_4:
                due.append((time.monotonic() + 0.06, message[4:]))
        while due and due[0][0] <= time.monotonic():
            reply = bytes(4) + due.popleft()[1]
            sock.sendto(bytes(2) + checksum(reply).to_bytes(2, "big") + reply[4:], ("127.0.0.1", 0))


@pytest.fixture
def late(monkeypatch):
    """Have this network namespace answer pings of itself after 60 ms, and pings follow each other by 20 ms."""
    monkeypatch.setattr(ping, "AGAIN_S", 0.02)
    Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("1")
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(0.005)
        ended = threading.Event()
        thread = threading.Thread(target=_answer_late, args=(sock, ended))
        thread.start()
        yield
        ended.set()
        thread.join()
    Path("/proc/sys/net/ipv4/icmp_echo_ignore_all").write_text("0")


@pytest.mark.kernel
@pytest.mark.usefixtures("late")
def test_answer_that_comes_when_another_ping_was_sent_counts_with_its_own_time():
    (pong,) = ping_all([Ping("/proc/thread-self/ns/net", "lo", "127.0.0.1", "127.0.0.1")], timeout_s=1.0)

    assert pong.rtt_ms is not None
    assert 60 <= pong.rtt_ms < 500
