"""Driver vxlan between two nodes on the real kernel: what is its own beyond conformance."""

from pathlib import Path

import pytest

from meshnet.netlink import tc
from meshnet.netlink.addresses import dump_addresses, parse_addresses
from meshnet.testing.frames import SOURCE, UNICAST, Frame, FrameSocket, judge
from meshnet.testing.traffic import LOAD_BYTES, ping, tcp_load

pytestmark = pytest.mark.kernel


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


def test_nodes_may_receive_at_different_ports(make_net):
    net = make_net(nodes=1)
    net.add_node().settings["port"] = "4790"
    net.nodes[1].start()

    one, other = net.cable()

    assert ping(one.pod, other.station.addresses[0])
    assert [device.port for node in net.nodes for device in node.devices()] == [51111, 4790]
