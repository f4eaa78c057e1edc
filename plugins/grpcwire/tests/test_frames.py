"""Frames from pod to pod over a wire, with core's own ports and real frames."""

import socket
import struct
import subprocess

import pytest
from meshnet_grpcwire.segment import largest_here, longest_frame
from meshnet_grpcwire.virtio import LONGEST_WHOLE

from meshnet.driver import GSO_LEGACY_MAX_SIZE, Socket
from meshnet.testing.frames import CORPUS, SOURCE, UNICAST, Frame, FrameSocket, judge
from meshnet.testing.traffic import LOAD_BYTES, captured, dishonest, internet_checksum, ping, tcp_load

pytestmark = pytest.mark.kernel


@pytest.fixture
def cable(nodes):
    return nodes.cable()


def verdicts(sender, receiver, frames):
    with (
        FrameSocket(sender.interface, sender.namespace.fd) as out,
        FrameSocket(receiver.interface, receiver.namespace.fd) as into,
    ):
        return judge(out, into, frames)


def heard(listening):
    """What comes within a moment; a pod's kernel talks, too."""
    frames = []
    while (frame := listening.receive(0.2)) is not None:
        frames.append(frame)
    return frames


def test_every_kind_of_frame_passes_both_ways(cable):
    for sender, receiver in ((cable.near, cable.far), (cable.far, cable.near)):
        got = verdicts(sender, receiver, CORPUS)
        assert {name: verdict for name, verdict in got.items() if verdict != "passed"} == {"QinQ full": "unsendable"}


def test_the_ends_can_ping_each_other(cable):
    assert ping(cable.near.namespace, cable.far.address)
    assert ping(cable.far.namespace, cable.near.address)
    assert ping(cable.near.namespace, "2001:db8:1::2")


def test_frames_of_9500_bytes_pass_on_any_underlay(nodes):
    cable = nodes.cable(mtu=9500)
    tagged = struct.pack("!HHH", 0x8100, 5, 0x88B5)
    frames = [
        Frame("full", UNICAST + SOURCE + b"\x88\xb5" + bytes(9500)),
        Frame("full, tagged", UNICAST + SOURCE + tagged + bytes(9500)),
    ]

    assert verdicts(cable.near, cable.far, frames) == {"full": "passed", "full, tagged": "passed"}
    assert verdicts(cable.far, cable.near, frames) == {"full": "passed", "full, tagged": "passed"}


def test_a_receiver_sees_honest_frames(cable):
    """Under TCP load, both ways and both versions of IP: valid checksums, nothing longer than the MTU."""
    for sender, receiver in ((cable.near, cable.far), (cable.far, cable.near)):
        ipv6 = f"2001:db8:1::{receiver.address[-1]}"
        for address in (receiver.address, ipv6):
            with captured(receiver.namespace, receiver.interface) as frames:
                assert tcp_load(sender.namespace, receiver.namespace, address) == LOAD_BYTES
            assert frames
            assert dishonest(frames, receiver.link.mtu) == []


def test_large_tcp_frames_cross_as_one(nodes):
    """What the sender's kernel left in one piece is so in the stream: far fewer frames than segments."""
    cable = nodes.cable()

    assert tcp_load(cable.near.namespace, cable.far.namespace, cable.far.address) == LOAD_BYTES

    counted = cable.ends[0].counters
    assert counted["sent_bytes"] > LOAD_BYTES
    assert counted["sent_frames"] < LOAD_BYTES / 1448 / 3
    assert cable.ends[1].counters["received_frames"] < LOAD_BYTES / 1448 / 3


def test_with_offload_they_arrive_as_one(nodes):
    cable = nodes.cable(offload=True)

    with captured(cable.far.namespace, cable.far.interface) as frames:
        assert tcp_load(cable.near.namespace, cable.far.namespace, cable.far.address) == LOAD_BYTES

    assert max(map(len, frames)) > 9000


@pytest.mark.parametrize(("address", "most"), [("10.0.1.2", largest_here()), ("2001:db8:1::2", GSO_LEGACY_MAX_SIZE)])
@pytest.mark.parametrize("mtu", [1500, 9500])
def test_with_offload_they_are_as_long_as_both_nodes_take_them(nodes, mtu, address, most):
    cable = nodes.cable(offload=True, mtu=mtu)
    size = 3 * LOAD_BYTES

    with captured(cable.far.namespace, cable.far.interface) as frames:
        assert tcp_load(cable.near.namespace, cable.far.namespace, address, size=size) == size

    counters = [end.counters for end in cable.ends]
    longer = LONGEST_WHOLE if most > GSO_LEGACY_MAX_SIZE else 9000
    assert longer < max(map(len, frames)) <= longest_frame(most)
    assert counters[0]["sent_dropped_too_long"] == counters[1]["received_dropped_header"] == 0


def test_what_the_kernel_has_no_room_for_in_one_passes_in_parts(nodes, fragmented_memory):
    """Real segments of a real sender, nearly none sent again."""
    if largest_here() == GSO_LEGACY_MAX_SIZE:
        pytest.skip("before Linux 6.6 no frames of a wire are longer than usual")
    cable = nodes.cable(offload=True)
    size = 3 * LOAD_BYTES

    with captured(cable.far.namespace, cable.far.interface) as frames:
        assert tcp_load(cable.near.namespace, cable.far.namespace, cable.far.address, size=size) == size

    assert max(fragmented_memory) > LONGEST_WHOLE
    assert 9000 < max(map(len, frames)) <= LONGEST_WHOLE
    counters = [end.counters for end in cable.ends]
    assert {name: count for name, count in counters[1].items() if "dropped" in name and count} == {}
    assert size < counters[0]["sent_bytes"] < 1.05 * size


def test_without_offload_no_frame_is_longer_than_usual(nodes):
    cable = nodes.cable()

    with captured(cable.near.namespace, cable.near.interface, sent=True) as frames:
        assert tcp_load(cable.near.namespace, cable.far.namespace, cable.far.address) == LOAD_BYTES

    assert 9000 < max(map(len, frames)) <= LONGEST_WHOLE


def test_a_peer_that_tells_nothing_gets_no_longer_ones(nodes):
    """Its daemon is of an earlier version. Frames that come all the same are dropped, and end nothing."""
    cable = nodes.cable(offload=True)
    for end in cable.ends:
        end.told = {}
        end.splice = end.patch()
        assert end.splice == Socket()
        end.fit_frames()

    with captured(cable.far.namespace, cable.far.interface) as frames:
        assert tcp_load(cable.near.namespace, cable.far.namespace, cable.far.address) == LOAD_BYTES

    assert 9000 < max(map(len, frames)) <= LONGEST_WHOLE
    assert cable.ends[1].counters["bad_messages"] == 0


def test_a_checksum_left_to_do_behind_a_tag_is_done(cable):
    """The tag travels in the frame; where the checksum begins moves with it."""
    frame, right = unsummed_udp(cable.near.address, cable.far.address)
    header = struct.pack("<BBHHHH", 1, 0, 0, 0, 38, 6)

    with (
        FrameSocket(cable.near.interface, cable.near.namespace.fd) as out,
        FrameSocket(cable.far.interface, cable.far.namespace.fd) as into,
    ):
        out._socket.setsockopt(263, 15, 1)  # PACKET_VNET_HDR
        out.send(header + frame)
        came = into.receive(2.0)

    assert came == right


def unsummed_udp(source, destination):
    """A tagged UDP datagram as a kernel has it that leaves the checksum to the card, and as it must arrive."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    payload = b"datagram" * 8
    udp = struct.pack("!HHHH", 5000, 5001, 8 + len(payload), 0) + payload
    pseudo = addresses + struct.pack("!HH", 17, len(udp))
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + addresses
    head = head[:10] + struct.pack("!H", internet_checksum(head)) + head[12:]
    outer = UNICAST + SOURCE + b"\x81\x00\x00\x64\x08\x00"
    begun = udp[:6] + struct.pack("!H", internet_checksum(pseudo) ^ 0xFFFF) + udp[8:]
    done = udp[:6] + struct.pack("!H", internet_checksum(pseudo + udp)) + udp[8:]
    return outer + head + begun, outer + head + done


def test_two_links_do_not_mix(nodes):
    first, second = nodes.cable(), nodes.cable("r1:eth2", "r3:eth1", uid=2)
    frame = UNICAST + SOURCE + b"\x88\xb5" + b"only here" * 9

    with (
        FrameSocket(first.near.interface, first.near.namespace.fd) as out,
        FrameSocket(first.far.interface, first.far.namespace.fd) as right,
        FrameSocket(second.far.interface, second.far.namespace.fd) as wrong,
    ):
        out.send(frame)
        assert right.receive(2.0) == frame
        assert frame not in heard(wrong)


def test_the_sender_does_not_hear_itself(cable):
    """What a wire writes to a port it does not read there again."""
    with (
        FrameSocket(cable.near.interface, cable.near.namespace.fd) as out,
        FrameSocket(cable.far.interface, cable.far.namespace.fd) as into,
    ):
        frame = UNICAST + SOURCE + b"\x88\xb5" + b"once" * 20
        out.send(frame)
        assert into.receive(2.0) == frame
        assert frame not in heard(out)
        assert frame not in heard(into)


def test_the_node_itself_takes_nothing(nodes):
    """The drop in front of the node's own stack stays: nothing but the wire sees a pod's frames."""
    cable = nodes.cable()

    assert [end.port.redirect for end in cable.ends] == [None, None]
    assert [end.port.sealed for end in cable.ends] == [True, True]
    assert not ping(cable.near.namespace, "192.0.2.1", patience_s=0.3)


@pytest.mark.parametrize("offload", [False, True])
def test_tcp_in_a_tunnel_of_the_pods_arrives(nodes, offload):
    """What AF_PACKET tells of a large frame is not that it is inside of a tunnel.

    Not by GRE or IPIP, whose modules leave devices in every namespace that is made from then on.
    """
    cable = nodes.cable(offload=offload)
    for station, other, address in ((cable.near, cable.far, "10.9.0.1"), (cable.far, cable.near, "10.9.0.2")):
        tunnel = ["vxlan", "id", "7", "local", station.address, "remote", other.address, "dstport", "4789"]
        with station.namespace.entered():
            subprocess.run(["ip", "link", "add", "inner", "type", *tunnel], check=True)
            subprocess.run(["ip", "addr", "add", f"{address}/24", "dev", "inner"], check=True)
            subprocess.run(["ip", "link", "set", "inner", "up"], check=True)

    assert tcp_load(cable.near.namespace, cable.far.namespace, "10.9.0.2", size=1 << 20) == 1 << 20
