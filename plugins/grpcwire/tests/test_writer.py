"""What becomes of frames that a socket refuses: a real one, which takes no message that is longer than its buffer."""

import errno
import os
import socket

import pytest
from meshnet_grpcwire.batch import pack, parse
from meshnet_grpcwire.counters import Counters
from meshnet_grpcwire.virtio import GSO_TCPV4, GSO_UDP_L4, HEADER, LONGEST_WHOLE
from meshnet_grpcwire.writer import FrameWriter, Sending

PAYLOAD = bytes(range(250)) * 900


def tcp_frame(payload=PAYLOAD, gso_type=GSO_TCPV4):
    ip = b"\x45\x00\x00\x00\x00\x07\x40\x00\x40\x06\x00\x00\x0a\x00\x01\x01\x0a\x00\x01\x02"
    tcp = bytes(12) + b"\x50\x10" + bytes(6)
    return HEADER.pack(1, gso_type, 54, 1448, 34, 16) + bytes(12) + b"\x08\x00" + ip + tcp + payload


@pytest.fixture
def sockets():
    """Messages of up to 180 kB pass from the first to the second, and not many at a time."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in pair:
        end.setblocking(False)
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 90_000)
    yield pair
    for end in pair:
        end.close()


def written(sock, frame, *, offload=True):
    """Return what is counted, but for what is zero."""
    counters, message = Counters(), pack([len(frame)], [frame])
    sending = Sending(parse(message), offload=offload)
    FrameWriter().write(sock.fileno(), message, sending, counters)
    assert sending.done
    return {name: count for name, count in counters.as_dict().items() if count}


def received(sock):
    messages = []
    while True:
        try:
            messages.append(sock.recv(1 << 20))
        except BlockingIOError:
            return messages


@pytest.mark.parametrize("offload", [True, False])
def test_a_frame_without_room_goes_in_parts(sockets, offload, monkeypatch):
    frame, parts = tcp_frame(), []
    write = os.writev

    def and_received(fd, buffers):
        count = write(fd, buffers)
        parts.extend(received(sockets[1]))  # as a port does at once
        return count

    monkeypatch.setattr(os, "writev", and_received)

    assert written(sockets[0], frame, offload=offload) == {
        "received_frames": 1,
        "received_bytes": len(frame) - HEADER.size,
    }
    assert len(parts) == 4
    assert max(map(len, parts)) <= HEADER.size + LONGEST_WHOLE
    assert b"".join(part[64:] for part in parts) == PAYLOAD


def test_one_that_passes_is_written_whole(sockets):
    frame = tcp_frame(PAYLOAD[:100_000])

    assert written(sockets[0], frame)["received_frames"] == 1
    assert received(sockets[1]) == [frame]


def test_one_whose_parts_find_a_full_queue_is_dropped(sockets):
    assert written(sockets[0], tcp_frame()) == {"received_dropped_queue_full": 1}


def test_one_that_cannot_be_cut_is_dropped(sockets):
    frame = bytearray(tcp_frame())
    frame[HEADER.size + 14 + 9] = 17  # UDP

    assert written(sockets[0], bytes(frame)) == {"received_dropped_too_long": 1}
    assert received(sockets[1]) == []


def test_a_usual_one_is_never_cut(sockets):
    sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)

    assert written(sockets[0], tcp_frame(PAYLOAD[:60_000])) == {"received_dropped_too_long": 1}
    assert written(sockets[0], tcp_frame(PAYLOAD[:60_000], GSO_UDP_L4)) == {"received_dropped_too_long": 1}


def test_without_offload_a_full_queue_may_have_let_half_of_it_through(sockets, fragmented_memory):
    """So nothing is sent a second time."""
    assert written(sockets[0], tcp_frame(), offload=False) == {"received_dropped_queue_full": 1}
    assert received(sockets[1]) == []
    assert fragmented_memory


def test_a_port_that_goes_down_between_parts_is_counted_as_that(sockets, monkeypatch):
    def down(_fd, _buffers):
        raise OSError(errno.ENETDOWN, "Network is down")

    monkeypatch.setattr(os, "writev", down)

    assert written(sockets[0], tcp_frame()) == {"received_dropped_port_down": 1}
