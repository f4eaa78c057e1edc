"""Long frames of TCP in parts: the segments that the kernel makes of the parts are those of the whole."""

import struct
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from meshnet_grpcwire.batch import pack
from meshnet_grpcwire.cut import cut
from meshnet_grpcwire.segment import largest_here
from meshnet_grpcwire.virtio import GSO_ECN, GSO_TCPV4, GSO_TCPV6, HEADER, LONGEST_FRAME, LONGEST_WHOLE

from meshnet.driver import GSO_LEGACY_MAX_SIZE
from meshnet.testing.frames import UNICAST
from meshnet.testing.traffic import captured, internet_checksum

ADDRESSES = bytes((10, 0, 1, 1, 10, 0, 1, 2))
ACK, PSH, FIN, CWR, ECE = 0x10, 0x08, 0x01, 0x80, 0x40


@dataclass(frozen=True)
class Whole:
    """A frame as a pod's kernel leaves it, or a part of one; `frame` has its bytes."""

    payload: bytes = bytes(range(256)) * 1000
    mss: int = 1448
    tags: bytes = b""
    ip_options: bytes = b""
    tcp_options: bytes = bytes(12)
    flags: int = ACK | PSH
    identification: int = 7
    sequence: int = 1
    gso_type: int = GSO_TCPV4

    @property
    def frame(self):
        length = 20 + len(self.tcp_options) + len(self.payload)
        head = HEADER.pack(1, self.gso_type, self.starts + 20 + len(self.tcp_options), self.mss, self.starts, 16)
        begun = internet_checksum(ADDRESSES + struct.pack("!HI", 6, length)) ^ 0xFFFF
        return head + self.ethernet + self.ip(length) + self.tcp(0, checksum=begun) + self.payload

    @property
    def ethernet(self):
        return bytes(12) + self.tags + b"\x08\x00"

    @property
    def starts(self):
        return len(self.ethernet) + 20 + len(self.ip_options)

    def ip(self, behind, number=0):
        length = 20 + len(self.ip_options) + behind
        words = 5 + len(self.ip_options) // 4
        identification = (self.identification + number) % 65536
        # Above 65535 bytes the kernel writes none.
        head = struct.pack(
            "!BBHHHBBH", 0x40 | words, 0, length if length < 65536 else 0, identification, 0x4000, 64, 6, 0
        )
        head += ADDRESSES + self.ip_options
        return head[:10] + struct.pack("!H", internet_checksum(head)) + head[12:]

    def tcp(self, behind, *, flags=None, checksum=0):
        sequence, words = (self.sequence + behind) % (1 << 32), 5 + len(self.tcp_options) // 4
        flags = self.flags if flags is None else flags
        head = struct.pack("!HHIIBBHHH", 5000, 5001, sequence, 9, words << 4, flags, 500, checksum, 0)
        return head + self.tcp_options

    def segments(self):
        """As RFC 9293 and RFC 791 have them on a wire: what a receiver without any offload sees."""
        for behind in range(0, len(self.payload), self.mss):
            body = self.payload[behind : behind + self.mss]
            last = behind + self.mss >= len(self.payload)
            flags = self.flags & ~((0 if last else PSH | FIN) | (CWR if behind else 0))
            tcp = self.tcp(behind, flags=flags) + body
            pseudo = ADDRESSES + struct.pack("!HH", 6, len(tcp))
            right = internet_checksum(pseudo + tcp + bytes(len(tcp) % 2))
            tcp = self.tcp(behind, flags=flags, checksum=right) + body
            yield self.ethernet + self.ip(len(tcp), behind // self.mss) + tcp


def segments_of(part):
    """What a kernel makes of a part, by its headers alone."""
    flags, gso_type, head, mss, start, offset = HEADER.unpack_from(part)
    frame = part[HEADER.size :]
    assert (flags, offset, head) == (1, 16, start + (frame[start + 12] >> 4) * 4)
    ip = start - (20 if frame[start - 20] == 0x45 else 24)
    assert struct.unpack_from("!H", frame, ip + 2) == (len(frame) - ip,)
    assert internet_checksum(frame[ip:start]) == 0
    (pseudo,) = struct.unpack_from("!H", frame, start + 16)
    assert (
        pseudo % 0xFFFF == (internet_checksum(ADDRESSES + struct.pack("!HH", 6, len(frame) - start)) ^ 0xFFFF) % 0xFFFF
    )
    assert bool(mss) == bool(gso_type) == (len(frame) - head > (mss or len(frame)))
    whole = Whole(
        frame[head:], mss or len(frame), frame[12 : ip - 2], frame[ip + 20 : start], frame[start + 20 : head],
        frame[start + 13], *struct.unpack_from("!H", frame, ip + 4), *struct.unpack_from("!I", frame, start + 4),
    )  # fmt: skip
    return list(whole.segments())


def parts_of(frame):
    return [part.head + part.body for part in cut(memoryview(frame))]


@pytest.mark.parametrize(
    "whole",
    [
        Whole(),
        Whole(tags=bytes.fromhex("81000005")),
        Whole(tags=bytes.fromhex("88a8000581000006")),
        Whole(ip_options=bytes((1, 1, 1, 1))),
        Whole(tcp_options=b""),
        Whole(flags=ACK | FIN | PSH),
        Whole(flags=ACK | CWR | ECE, gso_type=GSO_TCPV4 | GSO_ECN),
        Whole(identification=65500),
        Whole(sequence=(1 << 32) - 1000),
        Whole(mss=8948),
        Whole(mss=48),
        Whole(mss=60000),
        Whole(payload=bytes(1448 * 45 * 2)),  # the last part is as long as the others
        Whole(payload=bytes(1448 * 45 * 2 + 1)),  # ... and of one byte
    ],
)
def test_the_segments_are_those_of_the_whole(whole):
    parts = parts_of(whole.frame)

    assert len(parts) > 1
    assert max(map(len, parts)) <= HEADER.size + LONGEST_WHOLE
    assert [segment for part in parts for segment in segments_of(part)] == list(whole.segments())


@given(st.integers(66000, LONGEST_FRAME - 66), st.integers(48, 65000), st.integers(0, 65535))
def test_so_they_are_for_every_length(length, mss, identification):
    whole = Whole(bytes(length), mss, identification=identification)

    assert [segment for part in parts_of(whole.frame) for segment in segments_of(part)] == list(whole.segments())


@pytest.mark.parametrize(
    "change",
    [
        {"gso_type": GSO_TCPV6},
        {"gso_type": 5},
        {"mss": 65500},  # not one segment fits
        {"mss": 0},
        {"payload": b""},
        {"tags": bytes.fromhex("810000058100000681000007")},
        {"ip_options": bytes(44)},
    ],
)
def test_nothing_else_is_cut(change):
    assert parts_of(replace(Whole(), **change).frame) == []


@pytest.mark.parametrize(
    ("place", "byte"),
    [
        (8, 15),  # the checksum's place is not TCP's
        (6, 35),  # TCP does not begin where IP ends
        (10 + 12, 9),  # no IP
        (10 + 14, 0x65),  # no IPv4
        (10 + 14 + 6, 0x20),  # a fragment
        (10 + 14 + 9, 17),  # UDP
        (10 + 34 + 12, 0x40),  # TCP's header is too short
    ],
)
def test_headers_that_belie_the_frame_are_not_cut(place, byte):
    frame = bytearray(Whole().frame)
    frame[place] = byte

    assert parts_of(frame) == []


@given(st.data())
def test_whatever_a_peer_sends_no_part_is_longer_than_a_packet(data):
    """Cut by a header of the peer's choice, at the peer's places."""
    frame = bytearray(Whole(bytes(70000)).frame)
    for place in data.draw(st.lists(st.integers(0, 90), max_size=6)):
        frame[place] = data.draw(st.integers(0, 255))
    shorter = frame[: data.draw(st.sampled_from([len(frame), 60, 30, HEADER.size]))]

    for part in parts_of(shorter):
        assert len(part) <= HEADER.size + LONGEST_WHOLE


@pytest.mark.kernel
def test_the_kernel_takes_the_parts(nodes, request):
    """One before 6.6 has no room for such a frame ever; a later one is made so."""
    if largest_here() != GSO_LEGACY_MAX_SIZE:
        request.getfixturevalue("fragmented_memory")
    cable = nodes.cable(offload=True)
    whole = Whole(bytes(range(250)) * 1000)
    frame = whole.frame[: HEADER.size] + UNICAST + whole.frame[HEADER.size + 6 :]

    with captured(cable.far.namespace, cable.far.interface) as frames:
        nodes.run(cable.stream.write(pack([len(frame)], [frame])))
        nodes.within(lambda: cable.ends[1].counters["received_bytes"] >= len(whole.payload))

    parts = [frame for frame in frames if len(frame) > 1000]
    assert max(map(len, parts)) <= LONGEST_WHOLE
    assert b"".join(part[66:] for part in parts) == whole.payload
    assert [struct.unpack_from("!I", part, 38)[0] - 1 for part in parts] == [0, 65160, 130320, 195480]
