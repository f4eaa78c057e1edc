"""Driver vxlan on the real kernel: links that change while they carry frames, and daemons that come and go."""

import asyncio
import contextlib
import socket
import struct
import threading
import time

import attrs
import pytest
from meshnet_vxlan import removal
from meshnet_vxlan.messages import NewVxlan, Remote, new_vxlan
from meshnet_vxlan.owned import device_mac, device_names, read_remotes
from meshnet_vxlan.tunnel import Tunnel, adjust

from meshnet.driver import Device, LinkError
from meshnet.driver.calls import call
from meshnet.model.names import Mark
from meshnet.netlink import links
from meshnet.netlink.addresses import add_address
from meshnet.netlink.groups import delete_together
from meshnet.netlink.neighbours import RTM_DELNEIGH, RTM_NEWNEIGH
from meshnet.netlink.netns import entered
from meshnet.netlink.opening import SO_RCVBUFFORCE, enlarge
from meshnet.testing.node import NIC
from meshnet.testing.traffic import ping

pytestmark = pytest.mark.kernel

EXPERIMENTAL = 0x88B5
LIMIT_S = 10.0
HEAD = bytes.fromhex("0200000000bb0200000000aa88b5")


class Stream:
    """Numbered frames from one pod, and which of them came out in others."""

    def __init__(self, sender, *receivers):
        self._sockets = [open_socket(end) for end in (sender, *receivers)]
        self._done = threading.Event()
        self._sent, self._came = 0, set()
        self._thread = threading.Thread(target=self._send)

    def _send(self):
        while not self._done.is_set():
            self._sockets[0].send(HEAD + struct.pack("!I", self._sent) + bytes(42))
            self._sent += 1
            if self._sent % 16 == 0:  # an ordinary user's buffers hold few
                self._receive()

    def _receive(self):
        self._came.update(*map(numbers, self._sockets[1:]))

    def _wait(self):
        deadline, wanted = time.monotonic() + 5, self._sent + 100
        while self._sent < wanted:
            assert time.monotonic() < deadline, "nothing is sent"
            time.sleep(0.001)

    @contextlib.contextmanager
    def flowing(self):
        """Send during a ``with`` and a while before and after; nothing sent in it was lost."""
        self._thread.start()
        try:
            self._wait()  # until the interfaces' queues are open
            first = self._sent
            yield
            self._wait()
        finally:
            self._done.set()
            self._thread.join()
            time.sleep(0.2)
            self._receive()
            for sock in self._sockets:
                sock.close()
        assert set(range(first, self._sent)) - self._came == set()


def open_socket(end):
    with entered(end.pod.fd):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EXPERIMENTAL))
    sock.bind((end.endpoint.interface, EXPERIMENTAL))
    sock.setblocking(False)
    enlarge(sock, socket.SO_RCVBUF, SO_RCVBUFFORCE, 32 << 20)
    return sock


def numbers(sock):
    with contextlib.suppress(BlockingIOError):
        while True:
            yield struct.unpack_from("!I", sock.recv(100), len(HEAD))[0]


def test_a_peer_that_moves_is_followed_without_losing_a_frame(make_net):
    net = make_net(nodes=3)
    one, other = net.cable()
    moved = net.end(net.nodes[2], "r2:eth1")
    moved.patch(one)
    moved.station.settle()
    before = one.patch(other)

    with Stream(one, other, moved).flowing():
        for peer in [moved, other] * 100:
            assert one.patch(peer) == before

    (device,) = net.nodes[0].devices()
    assert read_remotes(net.nodes[0].netlink, device) == [Remote("192.0.2.2", other.link.receive_id, 51111)]


def test_the_new_way_is_there_before_the_old_one_goes(net):
    """A frame in between would be lost; that is so short that the stream above need not meet it."""
    one, _ = net.cable()
    (device,) = net.nodes[0].devices()
    moved = Remote("192.0.2.9", 4711, 51111)
    recorder = Recorder(net.nodes[0].netlink)

    adjust(
        recorder,
        device,
        Tunnel(one.link.alias, device.vni, device.port, device.local, moved, one.port.ifindex),
        fresh=False,
    )

    assert [request.type for request in recorder.asked] == [RTM_NEWNEIGH, RTM_DELNEIGH]
    assert read_remotes(net.nodes[0].netlink, device) == [moved]


class Recorder:
    """A socket that remembers what the kernel was asked to change."""

    def __init__(self, netlink):
        self._netlink = netlink
        self.dump = netlink.dump
        self.asked = []

    def run_tolerating(self, requests, *harmless):
        self.asked += requests
        self._netlink.run_tolerating(requests, *harmless)


def test_a_new_sandbox_takes_the_device_over_without_losing_a_frame(net):
    one, other = net.cable()
    later = net.end(net.nodes[0], "r1-again:eth1", uid=2, sandbox="sandbox-2")
    alias = Mark.of(one.endpoint, 1, "sandbox-2").alias
    taken = attrs.evolve(one.link, alias=alias, port=later.link.port, epoch=2)
    net.nodes[0].splicer.set_up(later.port, up=True)
    later.station.settle()

    with Stream(other, one, later).flowing():
        for link in [taken, one.link] * 20 + [taken]:
            net.nodes[0].call("patch", link, other.as_peer())

    (device,) = net.nodes[0].devices()
    assert device.info.alias == alias
    net.nodes[0].call("unpatch", one.link)  # of the old sandbox, late
    assert [found.info.alias for found in net.nodes[0].devices()] == [alias]
    net.nodes[0].call("unpatch", taken)
    assert net.nodes[0].devices() == []


def test_traffic_flows_on_while_the_daemon_is_away_and_the_next_adopts(net):
    one, other = net.cable()
    splice = one.patch(other)
    node = net.nodes[0]

    with Stream(one, other).flowing():
        node.call("stop")
        assert ping(one.pod, other.station.addresses[0])
        node.start()
        assert one.patch(other) == splice

    assert [(owned.endpoint, owned.splice) for owned in node.call("inspect")] == [(one.endpoint, splice)]


def test_what_was_altered_is_mended(net):
    one, other = net.cable()
    (device,) = net.nodes[0].devices()
    ifindex = device.info.ifindex
    net.nodes[0].netlink.run([links.set_link(ifindex, up=False, mtu=900, alias=one.link.alias + "9")])

    assert one.patch(other) == Device(ifindex)

    (mended,) = net.nodes[0].devices()
    assert mended.info == device.info
    assert ping(one.pod, other.station.addresses[0])


@pytest.mark.parametrize("alias", ["", "uplink of rack 7"])
def test_a_mark_that_somebody_replaced_is_put_back_and_its_device_goes_with_its_link(net, alias):
    one, other = net.cable()
    (device,) = net.nodes[0].devices()
    rename = links.set_link(device.info.ifindex, alias=alias)
    net.nodes[0].netlink.run([rename])

    assert one.patch(other) == Device(device.info.ifindex)
    assert [mended.info for mended in net.nodes[0].devices()] == [device.info]

    net.nodes[0].netlink.run([rename])
    one.unpatch()
    assert device.info.ifindex not in [link.ifindex for link in net.nodes[0].links()]


def test_a_late_unpatch_leaves_a_newer_sandboxs_device_whatever_its_mark(net):
    one, other = net.cable()
    node, alias = net.nodes[0], Mark.of(one.endpoint, 1, "sandbox-2").alias
    node.call("patch", attrs.evolve(one.link, alias=alias, epoch=2), other.as_peer())
    (device,) = node.devices()
    node.netlink.run([links.set_link(device.info.ifindex, alias="uplink of rack 7")])

    node.call("unpatch", one.link)

    assert [(kept.info.ifindex, kept.info.alias) for kept in node.devices()] == [(device.info.ifindex, alias)]


def test_a_device_that_somebody_removed_is_made_again(net):
    one, other = net.cable()
    (device,) = net.nodes[0].devices()
    net.nodes[0].netlink.run([links.delete_link(device.info.ifindex)])

    assert one.patch(other) != Device(device.info.ifindex)
    assert ping(one.pod, other.station.addresses[0])


def test_another_address_of_the_node_is_taken_in_place(make_net):
    net = make_net()
    one, other = net.cable()
    (before,) = net.nodes[0].devices()
    node = net.nodes[0]
    node.number = 77
    node.netlink.run([add_address(node.link(NIC).ifindex, "192.0.2.77/24")])

    node.restart()
    one.patch(other)
    other.patch(one)

    (after,) = node.devices()
    assert (after.info.ifindex, after.local) == (before.info.ifindex, "192.0.2.77")
    assert ping(one.pod, other.station.addresses[0])


@pytest.mark.parametrize("what", ["port", "VNI", "family"])
def test_what_the_kernel_cannot_change_is_made_anew_before_the_old_goes(make_net, what):
    net = make_net()
    one, other = net.cable()
    before = one.patch(other)
    with Stream(one, other).flowing():
        if what == "port":
            net.nodes[0].settings = {"port": "4790"}
            net.nodes[0].restart()
        elif what == "VNI":
            one.link = attrs.evolve(one.link, receive_id=999)
        else:
            net.fabric.family = 6
            for node in net.nodes:
                node.restart()
        other.patch(one)
        after = one.patch(other)
        other.patch(one)

    assert after != before
    assert ping(one.pod, other.station.addresses[0])
    deadline = time.monotonic() + 5
    while len(net.nodes[0].devices()) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [Device(device.info.ifindex) for device in net.nodes[0].devices()] == [after]
    assert ping(other.pod, one.station.addresses[0])


def test_what_a_killed_daemon_left_half_made_is_finished_or_removed(net):
    one, other = net.end(net.nodes[0], "r1:eth1"), net.end(net.nodes[1], "r2:eth1")
    node = net.nodes[0]
    before = node.links()
    for vni, endpoint in ((one.link.receive_id, one.endpoint), (5, other.endpoint)):
        name = device_names(endpoint)[0]
        node.netlink.run([new_vxlan(NewVxlan(name, device_mac(name), vni, 51111, "192.0.2.1"))])

    told = node.call("inspect")
    assert [owned.endpoint for owned in told] == [None, None]
    node.call("discard", told[1])
    node.call("discard", told[1])
    assert one.patch(other) == told[0].splice
    one.unpatch()

    assert node.links() == before


def test_many_are_removed_together(net):
    ends = [net.end(net.nodes[0], f"r1:eth{number}", uid=number) for number in range(1, 21)]
    other = net.end(net.nodes[1], "r2:eth1")
    for end in ends:
        end.patch(other)
    node = net.nodes[0]
    assert len(node.devices()) == 20

    node.gather("unpatch", [[end.link] for end in ends[:19]])

    assert [device.info.alias for device in node.devices()] == [ends[19].link.alias]


def test_a_removal_that_was_given_up_takes_nothing_later(net, monkeypatch):
    """A call that takes too long is cancelled, and its end may be patched again before another one's device goes."""
    ends = [net.end(net.nodes[0], f"r1:eth{number}", uid=number) for number in range(1, 4)]
    other = net.end(net.nodes[1], "r2:eth1")
    for end in ends:
        end.patch(other)
    driver, held = net.nodes[0].driver, threading.Event()

    def late(*args):
        held.wait(LIMIT_S)
        delete_together(*args)

    async def given_up():
        under_way = asyncio.create_task(driver.unpatch(ends[0].link))
        with pytest.raises(LinkError, match="took longer"):
            await call(driver, "unpatch", ends[1].link, limit_s=0.05)
        held.set()
        await under_way

    monkeypatch.setattr(removal, "delete_together", late)
    net.nodes[0].run(given_up())
    ends[1].patch(other)
    ends[2].unpatch()

    assert [device.info.alias for device in net.nodes[0].devices()] == [ends[1].link.alias]


def test_whose_a_device_is_that_has_a_cut_mark_is_never_guessed(net):
    one, other = net.end(net.nodes[0], f"{'long-' * 45}name:eth1"), net.end(net.nodes[1], "r2:eth1")
    node = net.nodes[0]
    splice = one.patch(other)
    assert [(owned.endpoint, owned.splice) for owned in node.call("inspect")] == [(one.endpoint, splice)]

    node.restart()
    assert node.call("inspect") == []

    assert one.patch(other) == splice
    assert [owned.endpoint for owned in node.call("inspect")] == [one.endpoint]
    one.unpatch()
    assert node.devices() == []
