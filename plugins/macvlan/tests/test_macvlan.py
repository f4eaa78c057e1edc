"""Driver macvlan on the real kernel: what is its own beyond conformance."""

import time

import attrs
import pytest
from meshnet_macvlan import MacvlanDriver
from meshnet_macvlan.owned import birth_name
from meshnet_macvlan.requests import Mode, NewMacvlan, new_macvlan, parse_macvlan

from meshnet.driver import Interface, LinkError, Rebuild, Scope
from meshnet.netlink import links
from meshnet.testing.bench import Bench
from meshnet.testing.node import NIC, NIC_MTU, OUTSIDE

pytestmark = pytest.mark.kernel


@pytest.fixture
def bench(meshnet_node):
    with Bench.running(meshnet_node, MacvlanDriver, Scope.EXTERNAL) as bench:
        yield bench


def macvlan(cable):
    """The macvlan of a cable, read in its pod."""
    pod = cable.near.namespace
    return parse_macvlan(pod.netlink.ask(links.get_link(cable.near.interface)))


def refused(cable, **changes):
    """The error that a link meets, edited like this."""
    link = attrs.evolve(cable.link_end(cable.ends[0]), **changes)
    with pytest.raises(LinkError) as error:
        cable.ends[0].bench.call("patch", link, None)
    return error.value.reason, str(error.value)


def test_the_interface_is_what_the_link_says(bench):
    cable = bench.cable(mtu=1400)

    cable.patch()

    made, link = macvlan(cable), cable.ends[0].link
    assert (made.info.name, made.info.mtu, made.info.mac) == ("eth1", 1400, link.mac)
    assert (made.info.alias, made.mode, made.protodown) == (link.alias, Mode.BRIDGE, False)


def test_it_stops_sending_at_once_since_its_index_is_never_its_parents(bench):
    cable = bench.cable()

    cable.patch()

    assert macvlan(cable).info.ifindex >= 1 << 20 > bench.node.link(NIC).ifindex


def test_a_parent_that_is_missing_is_told_with_what_is_there(bench):
    bench.node.make_stranger("lan7")
    before = bench.network()

    reason, said = refused(bench.cable(), parent="eth9")

    assert reason == "ParentMissing"
    assert said == "node n1 has no interface 'eth9' (peer_intf) to put a macvlan on; it has eth0, lan7"
    assert bench.network() == before | {line for line in bench.network() if line.startswith("r1:")}


def test_an_mtu_above_the_parents_names_the_maximum(bench):
    assert refused(bench.cable(), mtu=NIC_MTU + 1) == (
        "MtuTooLarge", f"mtu {NIC_MTU + 1} is above that of {NIC}; the maximum is {NIC_MTU}"
    )  # fmt: skip


def test_a_parent_in_a_bridge_is_busy(bench):
    bridge = bench.node.make_stranger("br7")
    bench.node.netlink.run([links.set_link(bench.node.link(NIC).ifindex, master=bridge)])

    assert refused(bench.cable()) == ("ParentBusy", "eth0 is a port of bridge br7 already, and that takes it whole")


def test_the_loopback_is_no_parent(bench):
    reason, said = refused(bench.cable(), parent="lo")

    assert (reason, said) == ("ParentUnsuitable", "lo is the loopback interface; a macvlan needs an Ethernet")


def test_passthru_and_others_exclude_each_other(bench):
    first, second = bench.cable(), bench.cable("r2:eth1", uid=2)
    first.patch()
    options = attrs.evolve(second.link_end(second.ends[0]).options, mode=Mode.PASSTHRU)

    assert refused(second, options=options) == (
        "ParentBusy", "eth0 carries macvlans already; mode passthru needs it alone"
    )  # fmt: skip

    first.unpatch()
    second.options = {"mode": "passthru"}
    second.patch()
    reason, said = refused(first)
    assert reason == "ParentBusy"
    assert "given away whole by a macvlan of mode passthru" in said


def test_passthru_has_the_parents_mac_and_carries_frames(bench):
    cable = bench.cable()
    cable.options = {"mode": "passthru"}

    cable.patch()
    cable.settle()

    assert cable.near.mac == bench.node.link(NIC).mac
    assert macvlan(cable).mode is Mode.PASSTHRU


def test_a_macvlan_on_a_macvlan_is_adopted(bench):
    """The kernel hangs it on the lowest parent; the driver must not take that for another one."""
    wanted = NewMacvlan(0, "mac0", bench.node.link(NIC).ifindex, bench.node.fd, Mode.BRIDGE, 1500, "02:00:5e:00:56:01")
    bench.node.netlink.run([new_macvlan(wanted)])
    cable = bench.cable()
    link = attrs.evolve(cable.link_end(cable.ends[0]), parent="mac0")

    first = bench.call("patch", link, None)

    assert bench.call("patch", link, None) == first


@pytest.mark.parametrize("mode", ["private", "vepa"])
def test_the_mode_changes_in_place(bench, mode):
    cable = bench.cable()
    (before,) = cable.patch()

    cable.options = {"mode": mode}
    (after,) = cable.patch()

    assert (after, macvlan(cable).mode) == (before, Mode(mode))


@pytest.mark.parametrize(("first", "second"), [("bridge", "passthru"), ("passthru", "bridge")])
def test_what_the_kernel_cannot_change_is_made_anew(bench, first, second):
    cable = bench.cable()
    cable.options = {"mode": first}
    (before,) = cable.patch()

    cable.options = {"mode": second}
    (after,) = cable.patch()

    assert (after != before, macvlan(cable).mode) == (True, Mode(second))
    assert len(bench.inspect()) == 1


def test_the_pods_own_changes_stay(bench):
    """Name, admin state and MAC are the pod's affair; only an edited MAC is applied."""
    cable = bench.cable()
    (splice,) = cable.patch()
    pod = cable.near.namespace
    pod.netlink.run([links.set_link(splice.ifindex, up=False)])
    pod.netlink.run([links.set_link(splice.ifindex, name="renamed", mac="02:00:5e:00:56:02")])
    link = cable.link_end(cable.ends[0])
    link = attrs.evolve(link, mac_before=link.mac)

    assert bench.call("patch", link, None) == splice
    kept = pod.link("renamed")
    assert (kept.ifindex, kept.up, kept.mac) == (splice.ifindex, False, "02:00:5e:00:56:02")

    bench.call("patch", attrs.evolve(link, mac="02:00:5e:00:56:03"), None)
    assert pod.link("renamed").mac == "02:00:5e:00:56:03"


def make_half(bench, cable):
    """Make a cable's macvlan, and leave it at that; return its ifindex."""
    link, pod = cable.link_end(cable.ends[0]), cable.near.namespace
    half = NewMacvlan(0, birth_name(link.alias), bench.node.link(NIC).ifindex, pod.fd, Mode.BRIDGE, 1500, link.mac)
    bench.node.netlink.run([new_macvlan(half)])
    return pod.link(half.name).ifindex


def test_what_a_killed_daemon_left_half_made_is_finished(bench):
    """The kernel takes no mark in the message that makes a link: one without is known by the name it has until then."""
    cable = bench.cable()
    link = cable.link_end(cable.ends[0])
    half_made = make_half(bench, cable)

    assert cable.patch() == [Interface(half_made)]
    assert macvlan(cable).info.alias == link.alias


def test_unpatch_removes_what_is_half_made(bench):
    cable = bench.cable()
    before = bench.network()
    make_half(bench, cable)

    cable.unpatch()

    assert bench.network() == before


def test_a_taken_name_is_told_and_left_alone(bench):
    cable = bench.cable()
    cable.near.namespace.make_stranger("eth1")
    before = bench.network()

    reason, said = refused(cable)

    assert reason == "NameTaken"
    assert said == "default/r1:eth1: pod r1 has another interface named eth1; it is left alone"
    assert bench.network() == before


def test_a_mac_that_another_on_the_parent_has_is_told(bench):
    first, second = bench.cable(), bench.cable("r2:eth1", uid=2)
    first.patch()
    before = bench.network()

    mac = macvlan(first).info.mac
    said = "eth0, or another interface on it, has the MAC {}; each needs one of its own: another local_mac"

    assert refused(second, mac=mac) == ("MacTaken", f"default/r2:eth1: {said.format(mac)}")
    assert bench.network() == before

    second.patch()
    link = attrs.evolve(second.link_end(second.ends[0]), mac=mac, mac_before=macvlan(second).info.mac)
    with pytest.raises(Rebuild):  # its old one may be another's by now
        bench.call("patch", link, None)


def test_a_name_that_the_node_has_too_is_free_in_the_pod(bench):
    bench.node.make_stranger("eth1")

    bench.cable().patch()

    assert bench.node.link("eth1").kind == "bridge"


def test_what_is_right_already_needs_no_way_into_the_pod(bench):
    """After a restart a daemon without CAP_SYS_ADMIN cannot enter a pod; it can still adopt, inspect and remove."""
    cable = bench.cable()
    splices = cable.patch()
    bench.restart()
    cable.ends[0].pod.sealed = True

    assert bench.call("patch", cable.link_end(cable.ends[0]), None) == splices[0]
    assert [owned.splice for owned in bench.inspect()] == splices
    cable.mtu = 1300
    with pytest.raises(LinkError, match="restart it") as error:
        bench.call("patch", cable.link_end(cable.ends[0]), None)
    assert error.value.reason == "RestartPod"
    cable.unpatch()
    assert bench.inspect() == []


def test_unpatch_of_a_pod_that_is_gone_is_success(bench):
    cable = bench.cable()
    cable.patch()
    link = cable.ends[0].link
    bench.node.pods.pop("r1").close()

    bench.call("unpatch", link)
    bench.call("unpatch", attrs.evolve(link, pod=Gone()))

    assert bench.inspect() == []


class Gone:
    nsid = 4711


def test_carrier_of_an_interface_that_is_gone_is_a_reason(bench):
    cable = bench.cable()
    link = cable.link_end(cable.ends[0])

    with pytest.raises(LinkError, match="default/r1:eth1: its macvlan is not in the pod any more") as error:
        bench.call("set_carrier", link, False)

    assert error.value.reason == "InterfaceMissing"


def test_a_link_that_is_down_from_the_start_never_has_carrier(bench):
    cable = bench.cable()
    cable.down = True

    cable.patch()

    assert macvlan(cable).protodown
    assert not cable.near.carrier


def test_carrier_follows_the_parent(bench):
    cable = bench.cable()
    cable.patch()
    cable.settle()

    bench.node.netlink.run([links.set_link(bench.node.link(NIC).ifindex, up=False)])

    assert not cable.near.carrier


def test_whose_an_interface_is_that_has_a_cut_mark_is_never_guessed(bench):
    """A pod's name may be longer than a mark has room for; to call its interface nobody's would have it removed."""
    cable = bench.cable(f"{'long-' * 45}name:eth1")
    (splice,) = cable.patch()
    assert [(owned.endpoint, owned.splice) for owned in bench.inspect()] == [(cable.ends[0].endpoint, splice)]

    bench.restart()
    assert bench.inspect() == []

    cable.patch()
    assert [owned.endpoint for owned in bench.inspect()] == [cable.ends[0].endpoint]


def cut(bench, *, off):
    """Take the NIC's cable, or give it back."""
    sink = bench.node.sink
    sink.netlink.run([links.set_link(sink.link(OUTSIDE).ifindex, up=not off)])
    deadline = time.monotonic() + 5
    while bench.node.link(NIC).carrier == off:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_unplugged_stays_so_when_the_nics_cable_comes_back(bench):
    """The kernel gives a macvlan carrier then, whatever it was told."""
    cable = bench.cable()
    cable.patch()
    link = cable.link_end(cable.ends[0])
    bench.call("set_carrier", link, False)
    cut(bench, off=True)
    cut(bench, off=False)

    bench.call("set_carrier", link, False)

    assert macvlan(cable).protodown
    assert not cable.near.carrier


def test_what_is_plugged_in_has_no_carrier_before_the_nic_has(bench):
    cable = bench.cable()
    cable.patch()
    link = cable.link_end(cable.ends[0])
    bench.call("set_carrier", link, False)
    cut(bench, off=True)

    bench.call("set_carrier", link, True)
    assert not cable.near.carrier

    cut(bench, off=False)
    bench.call("set_carrier", link, True)
    assert not macvlan(cable).protodown
    assert cable.near.carrier


def test_what_is_plugged_in_has_no_carrier_by_another_interface_on_its_nic(bench):
    """What somebody says of another one gives that carrier, whatever their NIC has."""
    node, cable = bench.node, bench.cable()
    cable.patch()
    link = cable.link_end(cable.ends[0])
    theirs = NewMacvlan(77, "mac0", node.link(NIC).ifindex, node.fd, Mode.BRIDGE, 1500, "02:00:5e:00:56:01")
    node.netlink.run([new_macvlan(theirs), links.set_link(77, up=True)])
    bench.call("set_carrier", link, False)
    cut(bench, off=True)
    node.netlink.run([links.set_link(77, protodown=True), links.set_link(77, protodown=False)])
    assert node.link("mac0").carrier

    bench.call("set_carrier", link, True)

    assert not cable.near.carrier
