"""Which interfaces of a node a pod can have a macvlan on, and which it must not."""

import asyncio
import socket

import attrs
import pytest
from meshnet_macvlan import MacvlanDriver
from meshnet_macvlan.requests import Mode, NewMacvlan, new_macvlan

from meshnet.driver import LinkError, Rebuild, Scope, Underlay
from meshnet.model.names import Mark
from meshnet.model.topology import Endpoint
from meshnet.netlink import links
from meshnet.netlink.iproute import iproute
from meshnet.testing.bench import Bench
from meshnet.testing.node import NIC, NIC_MTU, OUTSIDE

pytestmark = pytest.mark.kernel

MARK = Mark.of(Endpoint("theirs", "r9", "eth1"), 1, "c9").alias


@pytest.fixture
def bench(meshnet_node):
    with Bench.running(meshnet_node, MacvlanDriver, Scope.EXTERNAL) as bench:
        yield bench


def on(cable, parent, mode=Mode.BRIDGE):
    """The end of a cable, on another interface of the node, in a mode."""
    link = cable.link_end(cable.ends[0])
    return attrs.evolve(link, parent=parent, options=attrs.evolve(link.options, mode=mode))


def refused(bench, link):
    """What a link is told that is refused its parent."""
    with pytest.raises(LinkError) as error:
        bench.call("patch", link, None)
    assert error.value.reason == "ParentUnsuitable"
    return str(error.value)


def mark(bench, ifindex):
    bench.node.netlink.run([links.set_link(ifindex, alias=MARK)])


def make_ours(bench, name):
    """A device of another link, whichever driver made it, in use."""
    ifindex = bench.node.make_stranger(name)
    mark(bench, ifindex)
    bench.node.netlink.run([links.set_link(ifindex, up=True)])
    return ifindex


def in_pod(cable):
    return [link.name for link in cable.near.namespace.links()]


@pytest.mark.parametrize("name", ["mn0123456789ab", "vx0123456789ab"])
@pytest.mark.parametrize("mode", Mode)
def test_a_part_of_another_link_is_no_parent(bench, name, mode):
    """Frames of this pod would arrive in links of another namespace."""
    make_ours(bench, name)
    cable = bench.cable()

    said = refused(bench, on(cable, name, mode))

    assert said == f"{name} is a part of another link; peer_intf must be an interface of the node's own"
    assert in_pod(cable) == ["lo"]


def test_nor_is_what_stands_on_one(bench):
    ours = make_ours(bench, "mn0123456789ab")
    wanted = NewMacvlan(0, "mac0", ours, bench.node.fd, Mode.BRIDGE, 1500, "02:00:5e:00:56:01")
    bench.node.netlink.run([new_macvlan(wanted)])

    assert "is a part of another link" in refused(bench, on(bench.cable(), "mac0"))


def test_nor_is_a_bridge_that_has_one_in_it_or_a_macvlan_on_that(bench):
    bridge = bench.node.make_stranger("br7")
    spec = links.VethSpec("mn0123456789ab", 4711, "06:00:5e:00:53:07", 1500, "eth7", "06:00:5e:00:53:08",
                          bench.node.sink.fd)  # fmt: skip
    bench.node.netlink.run(
        [links.new_veth(spec), links.set_link(4711, alias=MARK), links.set_link(4711, master=bridge)]
    )
    wanted = NewMacvlan(0, "mac0", bridge, bench.node.fd, Mode.BRIDGE, 1500, "02:00:5e:00:56:01")
    bench.node.netlink.run([new_macvlan(wanted)])

    for parent in ("br7", "mac0"):
        said = refused(bench, on(bench.cable(), parent))
        assert said.startswith("br7 is on mn0123456789ab, which is a part of another link")


def test_a_bridge_with_other_ports_is_one(bench):
    bridge = bench.node.make_stranger("br7")
    bench.node.netlink.run([links.set_link(bench.node.link(NIC).ifindex, master=bridge)])

    bench.call("patch", on(bench.cable(), "br7"), None)


def test_a_macvlan_that_a_pod_has_there_all_the_same_goes(bench):
    """The pod could give it carrier whatever meshnet says."""
    ours = bench.node.make_stranger("vx0123456789ab")
    cable = bench.cable()
    link = on(cable, "vx0123456789ab")
    bench.call("patch", link, None)
    mark(bench, ours)

    refused(bench, link)

    assert in_pod(cable) == ["lo"]


def test_one_on_the_parent_of_before_is_left_to_core(bench):
    make_ours(bench, "mn0123456789ab")
    cable = bench.cable()
    cable.patch()

    refused(bench, on(cable, "mn0123456789ab"))

    assert in_pod(cable) == ["lo", "eth1"]


def whole(bench, parent=NIC):
    return on(bench.cable(), parent, Mode.PASSTHRU)


def test_the_interface_by_which_peers_reach_the_node_is_not_given_away_whole(meshnet_node):
    underlay = Underlay(NIC_MTU, 4, "192.0.2.1", meshnet_node.link(NIC).ifindex)
    with Bench.running(meshnet_node, MacvlanDriver, Scope.EXTERNAL, underlay=underlay) as bench:
        said = refused(bench, whole(bench))

        assert said == (
            "eth0 connects the node itself, which would lose it to the pod; mode passthru needs an interface that the "
            "node does without, any other mode shares this one"
        )
        for mode in (Mode.PRIVATE, Mode.VEPA, Mode.BRIDGE):
            bench.call("patch", on(bench.cable(), NIC, mode), None)


def add_default_route(bench, device, family):
    async def add():
        async with iproute(bench.node.fd) as ip:
            await ip.route("add", family=family, dst="default", oif=device)

    bench.node.netlink.run([links.set_link(device, up=True)])
    asyncio.run(add())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_nor_is_the_one_of_the_default_route(bench, family):
    add_default_route(bench, bench.node.link(NIC).ifindex, family)

    assert "connects the node itself" in refused(bench, whole(bench))


def test_an_ipv6_router_on_a_network_of_pods_does_not_make_it_the_nodes(bench):
    uplink = bench.node.make_stranger("br7")
    add_default_route(bench, uplink, socket.AF_INET)
    add_default_route(bench, bench.node.link(NIC).ifindex, socket.AF_INET6)

    bench.call("patch", whole(bench), None)

    assert "br7 connects the node itself" in refused(bench, whole(bench, "br7"))


def test_a_node_gets_back_what_a_pod_was_given_whole(bench):
    cable = bench.cable()
    link = on(cable, NIC, Mode.PASSTHRU)
    bench.call("patch", link, None)
    add_default_route(bench, bench.node.link(NIC).ifindex, socket.AF_INET)

    refused(bench, link)

    assert in_pod(cable) == ["lo"]


@pytest.fixture
def foreign(bench):
    """A node whose interface `mac0` is a macvlan itself, on an interface of the machine that the node is a part of."""
    sink, node = bench.node.sink, bench.node
    wanted = NewMacvlan(77, "mac0", sink.link(OUTSIDE).ifindex, node.fd, Mode.BRIDGE, 1500, "02:00:5e:00:56:01")
    sink.netlink.run([new_macvlan(wanted)])
    node.netlink.run([links.set_link(node.link("mac0").ifindex, up=True)])
    return bench


def test_a_node_may_be_on_its_network_by_a_macvlan_itself(foreign):
    """The kernel hangs the pod's on the parent of that, which is in another namespace than the node."""
    cable = foreign.cable()
    link = on(cable, "mac0")

    first = foreign.call("patch", link, None)

    assert foreign.call("patch", link, None) == first
    foreign.call("set_carrier", link, False)
    assert not cable.near.carrier
    foreign.call("set_carrier", link, True)
    assert cable.near.carrier


def test_an_equal_index_in_another_namespace_is_another_parent(foreign):
    sink, node, cable = foreign.node.sink, foreign.node, foreign.cable()
    foreign.call("patch", on(cable, "mac0"), None)
    index = sink.link(OUTSIDE).ifindex
    spec = links.VethSpec("eth7", index, "06:00:5e:00:53:07", 1500, "far7", "06:00:5e:00:53:08", sink.fd)
    node.netlink.run([links.new_veth(spec)])

    with pytest.raises(Rebuild):
        foreign.call("patch", on(cable, "eth7"), None)
