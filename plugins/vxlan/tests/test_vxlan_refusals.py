"""Driver vxlan on the real kernel: what is in the way is named and left alone."""

import errno
import os
import socket
import subprocess

import attrs
import pytest
from meshnet_vxlan.messages import NewVxlan, new_vxlan, parse_vxlan
from meshnet_vxlan.owned import device_names

from meshnet.driver import LinkError, Underlay
from meshnet.errors import KernelError
from meshnet.netlink import links
from meshnet.netlink.ifla import IFLA_NET_NS_FD
from meshnet.netlink.wire import u32

pytestmark = pytest.mark.kernel


@pytest.fixture
def ends(net):
    """Two ends that are not patched."""
    return net.end(net.nodes[0], "r1:eth1"), net.end(net.nodes[1], "r2:eth1")


def refused(end, peer):
    """Why an end cannot be patched; nothing is left of the try."""
    before = end.node.links()
    with pytest.raises(LinkError) as error:
        end.patch(peer)
    assert end.node.links() == before
    return error.value.reason, str(error.value)


def make_foreign(node, name, vni, port):
    node.netlink.run([new_vxlan(NewVxlan(name, "02:00:5e:00:56:01", vni, port, "192.0.2.1"))])
    return parse_vxlan(node.netlink.ask(links.get_link(name)))


def test_a_vni_that_a_foreign_device_receives_names_the_device(ends):
    one, other = ends
    foreign = make_foreign(one.node, "theirs", one.link.receive_id, 51111)

    reason, said = refused(one, other)

    assert reason == "VniTaken"
    assert said == (
        f"default/r1:eth1: on node n1 device theirs receives VNI {one.link.receive_id} at UDP port 51111 already; "
        "it is left alone: delete it, or give meshnet a port of its own by MESHNET_VXLAN_PORT"
    )
    one.node.netlink.run([links.delete_link(foreign.info.ifindex)])
    one.patch(other)


def test_so_does_one_that_was_moved_to_another_namespace(net, ends):
    one, other = ends
    foreign = make_foreign(one.node, "theirs", one.link.receive_id, 51111)
    move = links.set_link(foreign.info.ifindex)
    one.node.netlink.run([move._replace(body=move.body + u32(IFLA_NET_NS_FD, one.pod.fd))])

    reason, said = refused(one, other)

    assert reason == "VniTaken"
    assert "a device that was moved to another network namespace receives VNI" in said


@pytest.mark.parametrize("port", [4789, 51111])
def test_foreign_devices_are_left_alone(net, port):
    node = net.nodes[0]
    foreign = [make_foreign(node, "theirs", 77, port), make_foreign(node, "vx0123456789ab", 78, port)]
    node.netlink.run([links.set_link(found.info.ifindex, alias="theirs", up=True) for found in foreign])
    foreign.append(make_foreign(node, "vx0123456789abb", 79, port))  # as if ours, and half made
    before = {link.name: link for link in node.links()}
    one, other = net.cable()
    node.restart()
    one.patch(other)

    assert [owned.endpoint for owned in node.call("inspect")] == [one.endpoint]
    one.unpatch()

    after = {link.name: link for link in node.links()}
    assert [after[found.info.name] for found in foreign] == [before[found.info.name] for found in foreign]


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::"])
def test_a_port_that_is_used_names_the_process(ends, address):
    one, other = ends
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with one.node.entered():
        holder = socket.socket(family, socket.SOCK_DGRAM)
    with holder:
        holder.bind((address, 51111))

        reason, said = refused(one, other)

    assert reason == "PortTaken"
    with open("/proc/self/comm") as comm:
        command = comm.read().strip()
    assert said == (
        f"default/r1:eth1: UDP port 51111 of node n1 is used by process {os.getpid()} ({command}); "
        "end that, or give meshnet another port by MESHNET_VXLAN_PORT"
    )
    one.patch(other)


def test_a_port_that_is_used_names_the_device(ends):
    """One that does not share it, as of those who give the kernel each frame's way beside it."""
    one, other = ends
    with one.node.entered():
        command = ["ip", "link", "add", "theirs", "up", "type", "vxlan", "external", "dstport", "51111"]
        subprocess.run(command, check=True)

    reason, said = refused(one, other)

    assert reason == "PortTaken"
    assert "UDP port 51111 of node n1 is used by VXLAN device theirs; end that" in said


def test_both_names_taken_by_others(ends):
    one, other = ends
    first, second = device_names(one.endpoint)
    one.node.make_stranger(first)
    one.patch(other)
    assert [device.info.name for device in one.node.devices()] == [second]
    one.unpatch()
    make_foreign(one.node, second, 5, 4789)
    one.node.netlink.run([links.set_link(one.node.link(second).ifindex, alias="theirs")])

    assert refused(one, other) == (
        "NameTaken",
        f"default/r1:eth1: node n1 has other interfaces named {first} and {second}; they are left alone",
    )


def test_a_peer_that_has_not_told_or_told_nonsense_is_a_reason(ends):
    one, other = ends
    peer = other.as_peer()

    assert refused(one, attrs.evolve(peer, receive_id=0))[0] == "PeerOfferMissing"
    assert refused(one, attrs.evolve(peer, node_offer={}))[0] == "PeerOfferMissing"
    reason, said = refused(one, attrs.evolve(peer, node_offer={"address": "2001:db8::9"}))
    assert reason == "UnderlayMismatch"
    assert said == (
        "default/r1:eth1: node n2 is reached at 2001:db8::9, but this node at 192.0.2.1; "
        "both need addresses of one family (HOST_IP)"
    )


def test_a_failed_change_leaves_the_link_as_it_was(ends):
    one, other = ends
    one.patch(other)
    before = one.node.links()

    with pytest.raises(LinkError):
        one.node.call("patch", attrs.evolve(one.link, port=attrs.evolve(one.link.port, ifindex=4711)), other.as_peer())

    assert one.node.links() == before


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1", " 1", "٣"])
def test_a_wrong_port_is_told_at_the_start(net, port):
    node = net.nodes[0]
    node.call("stop")
    node.settings = {"port": port}

    with pytest.raises(LinkError, match="a UDP port, 1 to 65535") as error:
        node.start()

    assert error.value.reason == "InvalidSetting"
    assert str(error.value).startswith(f"MESHNET_VXLAN_PORT: {port!r}: ")
    node.settings = {}
    node.start()


def test_without_an_address_it_does_not_start(net):
    node = net.nodes[0]
    node.call("stop")

    with pytest.raises(LinkError, match="set HOST_IP to one of its addresses") as error:
        node.call("start", attrs.evolve(node.context(), underlay=Underlay(1500, 4)))

    assert error.value.reason == "NoUnderlay"
    node.start()


def test_without_the_right_to_make_devices_it_does_not_start(net):
    node = net.nodes[0]
    node.call("stop")

    with pytest.raises(LinkError, match="making VXLAN devices needs CAP_NET_ADMIN") as error:
        node.call("start", attrs.evolve(node.context(), netlink=Powerless()))

    assert error.value.reason == "KernelRefused"
    node.start()


def test_without_vxlan_in_the_kernel_it_does_not_start(net):
    node = net.nodes[0]
    node.call("stop")

    with pytest.raises(LinkError, match="modprobe vxlan") as error:
        node.call("start", attrs.evolve(node.context(), netlink=Other(node.netlink)))

    assert error.value.reason == "NoVxlan"
    node.start()


def test_it_starts_where_the_kernel_is_only_short_of_memory_just_now(net):
    node = net.nodes[0]
    node.call("stop")
    node.call("start", attrs.evolve(node.context(), netlink=Short(node.netlink)))


class Powerless:
    """A socket of a process without capabilities."""

    def run(self, requests):
        raise KernelError(errno.EPERM, requests[0].what)


class Short:
    """A socket of a kernel that has no memory to make anything."""

    def __init__(self, netlink):
        self.dump = netlink.dump

    def run(self, requests):
        raise KernelError(errno.ENOBUFS, requests[0].what)


class Other:
    """A socket through which the kernel is asked for a kind of link that it has not got."""

    def __init__(self, netlink):
        self._netlink = netlink

    def run(self, requests):
        self._netlink.run([request._replace(body=request.body.replace(b"vxlan", b"vxlax")) for request in requests])
