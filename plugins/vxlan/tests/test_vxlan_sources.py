"""The source filter on the real kernel: who is let in to a device, and that nothing else is touched."""

import contextlib
import logging
import socket
import struct
import time

import attrs
import pytest
from meshnet_vxlan import sources
from meshnet_vxlan.messages import NewVxlan, new_vxlan
from meshnet_vxlan.nftables import Nft, NftError

from meshnet.netlink import links
from meshnet.testing.frames import CORPUS, FrameSocket
from meshnet.testing.traffic import internet_checksum, ping

pytestmark = pytest.mark.kernel

FRAME = CORPUS[0].data


@pytest.fixture
def nft(net):
    """nf_tables of the first node."""
    with nft_of(net.nodes[0]) as nft:
        yield nft


@contextlib.contextmanager
def nft_of(node):
    with node.entered():
        try:
            nft = Nft()
            nft.run("list ruleset")
        except NftError as error:
            pytest.skip(f"nf_tables: {error}")
    with contextlib.closing(nft):
        yield nft


def send(node, end, address, *, port=51111):
    """Send a frame to an end's device, as anybody can who knows its VNI."""
    head = struct.pack("!II", 0x08000000, end.link.receive_id << 8)
    with node.entered():
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.sendto(head + FRAME, (address, port))


def comes_in(end, node, address, **how):
    """Whether what a node sends to an end's VNI comes out in the pod."""
    with FrameSocket("eth1", end.pod.fd) as pod:
        send(node, end, address, **how)
        while (frame := pod.receive(0.3)) is not None:
            if frame == FRAME:
                return True
    return False


@pytest.mark.parametrize(("family", "address"), [(4, "192.0.2.1"), (6, "2001:db8:ff::1")])
def test_a_strangers_frame_stays_out_and_the_peers_comes_in(make_net, family, address):
    net = make_net(nodes=3, family=family)
    one, other = net.cable()

    assert comes_in(one, net.nodes[1], address)
    assert not comes_in(one, net.nodes[2], address)
    assert ping(one.pod, other.station.addresses[0])

    with nft_of(net.nodes[0]) as nft:
        nft.run(f"delete table {sources.TABLE}")
    assert comes_in(one, net.nodes[2], address)  # else the test would show nothing


def test_a_strangers_frame_stays_out_also_while_somebody_has_replaced_the_mark(make_net):
    net = make_net(nodes=3)
    with nft_of(net.nodes[0]):
        one, other = net.cable()
    (device,) = net.nodes[0].devices()
    net.nodes[0].netlink.run([links.set_link(device.info.ifindex, alias="uplink of rack 7")])

    net.nodes[0].call("inspect")

    assert not comes_in(one, net.nodes[2], "192.0.2.1")
    assert ping(one.pod, other.station.addresses[0])


def in_fragments(packet, first):
    """Return an IPv6 packet of UDP in two fragments, the first with so many bytes of what is behind the header."""
    head, rest = packet[:40], packet[40:]
    cuts = ((0, rest[:first], 1), (first, rest[first:], 0))
    return [
        head[:4]
        + struct.pack("!HBB", 8 + len(part), 44, head[7])
        + head[8:]
        + struct.pack("!BBHI", 17, 0, offset | more, 4711)
        + part
        for offset, part, more in cuts
    ]


def udp6(source, destination, payload, *, port=51111):
    """Return an IPv6 packet of UDP."""
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
    datagram = struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload
    checksum = internet_checksum(ends + struct.pack("!IHBB", len(datagram), 0, 0, 17) + datagram)
    datagram = datagram[:6] + struct.pack("!H", checksum or 0xFFFF) + datagram[8:]
    return struct.pack("!IHBB", 6 << 28, len(datagram), 17, 64) + ends + datagram


@pytest.mark.parametrize("first", [8, 32])
def test_a_strangers_frame_in_fragments_stays_out(make_net, first):
    """IPv6 joins fragments behind the filter: a first one may end within the header that it reads."""
    net = make_net(nodes=3, family=6)
    one, other = net.cable()
    payload = struct.pack("!II", 0x08000000, one.link.receive_id << 8) + FRAME

    def arrives():
        with FrameSocket("eth1", one.pod.fd) as pod, net.nodes[2].entered():
            with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
                for packet in in_fragments(udp6("2001:db8:ff::3", "2001:db8:ff::1", payload), first):
                    raw.sendto(packet, ("2001:db8:ff::1", 0))
            while (frame := pod.receive(0.3)) is not None:
                if frame == FRAME:
                    return True
        return False

    assert not arrives()
    assert ping(one.pod, other.station.addresses[0])
    with nft_of(net.nodes[0]) as nft:
        nft.run(f"delete table {sources.TABLE}")
    assert arrives()  # else the test would show nothing


def test_when_the_peer_moves_its_new_node_is_let_in_and_the_old_one_is_not(make_net):
    net = make_net(nodes=3)
    with nft_of(net.nodes[0]):
        one, _ = net.cable()
    moved = net.end(net.nodes[2], "r2:eth1")

    one.patch(moved)

    assert comes_in(one, net.nodes[2], "192.0.2.1")
    deadline = time.monotonic() + 5
    while comes_in(one, net.nodes[1], "192.0.2.1"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert comes_in(one, net.nodes[2], "192.0.2.1")


def test_what_is_cabled_to_another_peer_takes_nothing_of_the_one_before(make_net):
    """Its daemon may be away, and go on sending for as long as it is."""
    net = make_net(nodes=3)
    with nft_of(net.nodes[0]):
        one, other = net.cable()
    another = net.end(net.nodes[2], "r3:eth1")
    one.link = attrs.evolve(one.link, peer=other.endpoint)
    one.patch(other)
    assert comes_in(one, net.nodes[1], "192.0.2.1")

    one.link = attrs.evolve(one.link, peer=another.endpoint)
    one.patch(another)

    assert not comes_in(one, net.nodes[1], "192.0.2.1")
    assert comes_in(one, net.nodes[2], "192.0.2.1")


def test_it_holds_while_the_daemon_is_away_and_afterwards(make_net):
    net = make_net(nodes=3)
    node = net.nodes[0]
    with nft_of(node):
        one, other = net.cable()

    node.call("stop")
    assert not comes_in(one, net.nodes[2], "192.0.2.1")
    node.start()
    assert not comes_in(one, net.nodes[2], "192.0.2.1")
    assert ping(one.pod, other.station.addresses[0])


@pytest.mark.parametrize("family", [4, 6])
def test_a_table_that_somebody_flushed_is_made_again(make_net, family):
    net = make_net(family=family)
    with nft_of(net.nodes[0]) as nft:
        one, other = net.cable()
        third, fourth = net.cable("r1:eth2", "r2:eth2", uid=2)  # added to the table, not made with it
        before = nft.run("list ruleset")
        nft.run("flush ruleset")

        one.patch(other)

        assert nft.run("list ruleset") == before
    assert ping(one.pod, other.station.addresses[0])
    assert ping(third.pod, fourth.station.addresses[0])


def test_it_ends_with_the_last_device_and_touches_no_other_table(net, nft):
    foreign = "table inet theirs { chain input { type filter hook input priority 0; counter accept; }; }"
    nft.run(foreign)
    before = nft.run("list tables")
    one, other = net.cable()
    third, _ = net.cable("r1:eth2", "r2:eth2", uid=2)
    assert "meshnet-vxlan" in nft.run("list tables")

    third.unpatch()
    assert str(third.link.receive_id) not in nft.run(f"list table {sources.TABLE}")
    assert ping(one.pod, other.station.addresses[0])
    (owned,) = net.nodes[0].call("inspect")
    net.nodes[0].call("discard", owned)

    assert nft.run("list tables") == before


def test_what_somebody_else_removed_is_let_in_no_more(net, nft):
    one, other = net.cable()
    third, _ = net.cable("r1:eth2", "r2:eth2", uid=2)
    node = net.nodes[0]
    first, second = (end.link.receive_id for end in (one, third))
    by_vni = {device.vni: device.info.ifindex for device in node.devices()}
    node.netlink.run([links.delete_link(by_vni[second])])
    third.unpatch()

    node.call("inspect")
    table = nft.run(f"list table {sources.TABLE}")
    assert f"{second:#x}" not in table
    assert f"{first:#x}" in table
    assert ping(one.pod, other.station.addresses[0])
    node.netlink.run([links.delete_link(by_vni[first])])
    node.call("inspect")
    assert nft.run("list tables") == ""


def test_a_table_that_a_killed_daemon_left_goes_when_the_next_one_starts(net, nft):
    node = net.nodes[0]
    net.cable()
    (device,) = node.devices()
    node.call("stop")
    node.netlink.run([links.delete_link(device.info.ifindex)])
    assert "meshnet-vxlan" in nft.run("list tables")

    node.start()

    assert nft.run("list tables") == ""


def test_foreign_vnis_at_our_port_are_none_of_its_business(net, nft):
    net.cable()
    node = net.nodes[0]
    node.netlink.run([new_vxlan(NewVxlan("theirs", "02:00:5e:00:56:01", 77, 51111, "192.0.2.1"))])
    node.netlink.run([links.set_link(node.link("theirs").ifindex, up=True)])

    with FrameSocket("theirs", node.fd) as theirs:
        head = struct.pack("!II", 0x08000000, 77 << 8)
        with net.nodes[1].entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(head + FRAME, ("192.0.2.1", 51111))
        assert FRAME in iter(lambda: theirs.receive(1.0), None)


def test_without_nf_tables_it_works_and_says_so_once(make_net, monkeypatch, caplog):
    monkeypatch.setattr("meshnet_vxlan.nftables.LIBRARY", "libnftables.so.absent")
    with caplog.at_level(logging.INFO, logger="meshnet.driver.vxlan"):
        net = make_net()
        one, other = net.cable()
        net.cable("r1:eth2", "r2:eth2", uid=2)
        assert ping(one.pod, other.station.addresses[0])
        one.unpatch()

    said = (
        "no nf_tables: frames with a right VNI are taken from any address "
        "(libnftables.so.absent is not installed (Debian: libnftables1))"
    )
    assert [record.getMessage() for record in caplog.records] == [said, said]  # one a node


def test_what_nf_tables_refuses_for_a_while_is_said_once_and_made_good(net, nft, monkeypatch, caplog):
    one, other = net.cable()
    before = nft.run("list ruleset")
    nft.run("flush ruleset")
    run = Nft.run

    def refuse(_nft, script):
        raise NftError("busy")

    with caplog.at_level(logging.INFO, logger="meshnet.driver.vxlan"):
        monkeypatch.setattr(Nft, "run", refuse)
        one.patch(other)
        one.patch(other)
        monkeypatch.setattr(Nft, "run", run)
        monkeypatch.setattr(net.nodes[0].driver._sources, "_now", lambda: time.monotonic() + sources.AGAIN_S)
        one.patch(other)

    assert nft.run("list ruleset") == before
    assert [record.getMessage()[-6:] for record in caplog.records] == ["(busy)"]


def test_a_refused_script_is_told_in_one_line_and_nothing_of_it_done(nft):
    with pytest.raises(NftError) as error:
        nft.run("add table inet good\nadd chain inet absent input")

    assert "No such file or directory" in str(error.value)
    assert "\n" not in str(error.value)
    assert nft.run("list tables") == ""
