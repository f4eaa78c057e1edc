"""Driver vxlan between two nodes on the real kernel: frames, and the devices that carry them."""

import time
from pathlib import Path

import pytest
from meshnet_vxlan.owned import read_remotes

from meshnet.netlink import tc
from meshnet.netlink.addresses import dump_addresses, parse_addresses
from meshnet.testing import snapshot
from meshnet.testing.frames import SOURCE, UNICAST, Frame, FrameSocket, judge
from meshnet.testing.traffic import LOAD_BYTES, captured, dishonest, ping, tcp_load

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("family", [4, 6])
def test_the_ends_can_ping_each_other(make_net, family):
    one, other = make_net(family=family).cable()

    for address in other.station.addresses:
        assert ping(one.pod, address)
    for address in one.station.addresses:
        assert ping(other.pod, address)


@pytest.mark.parametrize("family", [4, 6])
def test_any_frame_passes_both_ways(make_net, family):
    one, other = make_net(mtu=1700, family=family).cable()

    with FrameSocket("eth1", one.pod.fd) as left, FrameSocket("eth1", other.pod.fd) as right:
        for verdicts in (judge(left, right), judge(right, left)):
            assert {name: verdict for name, verdict in verdicts.items() if verdict != "passed"} == {
                "QinQ full": "unsendable"
            }


def test_a_receiver_sees_honest_frames(net):
    one, other = net.cable()

    with captured(other.pod, "eth1") as frames:
        assert tcp_load(one.pod, other.pod, other.station.addresses[0]) > 0

    assert len(frames) > 100
    assert dishonest(frames, 1500) == []


@pytest.mark.parametrize(("family", "overhead"), [(4, 50), (6, 70)])
@pytest.mark.parametrize("underlay", [1500, 1600, 9000])
def test_the_largest_mtu_fits_and_not_a_byte_more(make_net, underlay, family, overhead):
    net = make_net(mtu=underlay, family=family)
    node = net.nodes[0]
    assert node.driver.mtu_limit(node.context().underlay) == underlay - overhead
    one, other = net.cable(mtu=underlay - overhead)

    full = b"\x88\xb5" + bytes(underlay - overhead)
    with FrameSocket("eth1", one.pod.fd) as left, FrameSocket("eth1", other.pod.fd) as right:
        assert judge(left, right, [Frame("full", UNICAST + SOURCE + full)]) == {"full": "passed"}
        for address in other.station.addresses:
            assert tcp_load(one.pod, other.pod, address) == LOAD_BYTES
        assert fragments(net) == 0
        # A VLAN tag is what a pod may have beyond its MTU. Routers and hosts of IPv6 do not fragment.
        tagged = Frame("tagged", UNICAST + SOURCE + b"\x81\x00\x00\x64" + full)
        assert judge(left, right, [tagged]) == {"tagged": "passed" if family == 4 else "lost"}
        assert fragments(net) == (2 if family == 4 else 0)


def fragments(net):
    """How many fragments the nodes have made, of both versions."""
    return sum(map(fragments_of, net.nodes))


def fragments_of(node):
    with node.entered():
        tables = [Path(f"/proc/thread-self/net/{name}").read_text().splitlines() for name in ("snmp", "snmp6")]
    names, values = (line.split() for line in tables[0] if line.startswith("Ip:"))
    (version6,) = (line.split()[1] for line in tables[1] if line.startswith("Ip6FragCreates"))
    return int(values[names.index("FragCreates")]) + int(version6)


def test_the_device_is_silent_marked_and_cheap(net):
    one, _ = net.cable()

    (device,) = net.nodes[0].devices()
    assert (device.vni, device.port, device.local) == (one.link.receive_id, 51111, "192.0.2.1")
    assert (device.info.alias, device.info.up, device.info.mtu) == (one.link.alias, True, 65535)
    netlink = net.nodes[0].netlink
    assert device.info.ifindex not in [ifindex for ifindex, _ in parse_addresses(netlink.dump(dump_addresses()))]
    ingress, egress = (netlink.dump(tc.dump_filters(device.info.ifindex, parent)) for parent in (tc.INGRESS, tc.EGRESS))
    assert tc.Redirect("mirred", one.port.ifindex) in map(tc.parse_redirect, ingress)
    assert tc.DROP_PRIORITY == max(map(tc.parse_priority, ingress)) == max(map(tc.parse_priority, egress))


def test_the_node_says_nothing_into_a_cable_even_if_it_forwards_ipv6(net):
    one, other = net.end(net.nodes[0], "r1:eth1"), net.end(net.nodes[1], "r2:eth1")
    with net.nodes[0].entered():
        Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")
    other.patch(one)

    with captured(other.pod, "eth1") as frames:
        one.patch(other)
        (device,) = net.nodes[0].devices()
        time.sleep(1.5)  # listener reports are sent a second after an interface goes up

    assert [frame for frame in frames if frame[6:12].hex(":") == device.info.mac] == []
    assert frames != []  # the pod's own reports came


def test_two_links_do_not_mix(net):
    one, other = net.cable()
    third, fourth = net.cable("r1:eth2", "r2:eth2", uid=2)

    assert ping(one.pod, other.station.addresses[0])
    assert ping(third.pod, fourth.station.addresses[0])
    assert len({device.vni for node in net.nodes for device in node.devices()}) == 4
    one.unpatch()
    assert not ping(other.pod, one.station.addresses[0], patience_s=0.5)
    assert ping(third.pod, fourth.station.addresses[0])


def test_nodes_may_receive_at_different_ports(make_net):
    net = make_net(nodes=1)
    net.add_node().settings["port"] = "4790"
    net.nodes[1].start()

    one, other = net.cable()

    assert ping(one.pod, other.station.addresses[0])
    assert [device.port for node in net.nodes for device in node.devices()] == [51111, 4790]


def test_patch_again_changes_nothing(net):
    one, other = net.cable()
    before = everything(net)

    splice = one.patch(other)

    assert splice == one.patch(other)
    assert everything(net) == before


def test_unpatch_leaves_nothing(net):
    one, other = net.end(net.nodes[0], "r1:eth1"), net.end(net.nodes[1], "r2:eth1")
    before = net.nodes[0].links()
    one.unpatch()
    one.patch(other)
    assert net.nodes[0].links() != before

    one.unpatch()
    one.unpatch()

    assert net.nodes[0].links() == before
    assert net.nodes[0].call("inspect") == []


def everything(net):
    """What is on the nodes, and where their devices send."""
    remotes = [str(read_remotes(node.netlink, device)) for node in net.nodes for device in node.devices()]
    return snapshot.network(net.nodes) | set(remotes)
