"""Nodes on one underlay, each with the driver at work in it; pods with real ports, and links between them."""

import asyncio
import contextlib
import itertools
import logging

import attrs
import pytest
from meshnet_vxlan import VxlanDriver
from meshnet_vxlan.owned import read_devices

from meshnet.driver import DriverContext, LinkEnd, Peer, Underlay
from meshnet.driver.calls import call
from meshnet.driver.options import decode_options
from meshnet.errors import KernelError
from meshnet.model.names import Mark, pod_mac
from meshnet.model.topology import Endpoint
from meshnet.netlink import Ethtool, Netlink, links
from meshnet.netlink.addresses import add_address
from meshnet.panel.indices import Indices
from meshnet.panel.make import PortMaker
from meshnet.panel.port import PortWish
from meshnet.panel.splice import Splicer
from meshnet.testing.cable import Station
from meshnet.testing.loop import LoopThread
from meshnet.testing.node import NIC, KitNode, KitPod, Namespace, Uplink

LIMIT_S = 10.0
PREFIX = {4: "192.0.2.{}/24", 6: "2001:db8:ff::{:x}/64"}


class Node(KitNode):
    """A node on the underlay, where the driver has been started."""

    def __init__(self, number, fabric, directory):
        super().__init__(f"n{number}", Uplink(fabric, f"n{number}", f"06:00:5e:00:54:{number:02x}", fabric.mtu))
        self.number, self.fabric = number, fabric
        fabric.plug(self)
        self.settings = {}
        self._ethtool = Ethtool(self.fd)
        self.maker = PortMaker(self.netlink, self._ethtool, Indices(directory / f"indices-{self.name}"))
        self.splicer = Splicer(self.netlink, self._ethtool, redirect_peer=False)
        with self.entered():
            self._loop, self._netlink = LoopThread(), Netlink.open()
        self.driver = None

    def start(self):
        self.driver = VxlanDriver()
        self.call("start", self.context())

    def context(self):
        address = PREFIX[self.fabric.family].format(self.number).partition("/")[0]
        return DriverContext(
            node=self.name,
            netlink=self._netlink,
            log=logging.getLogger("meshnet.driver.vxlan"),
            allocate=lambda pool, endpoint: 0,
            changed=lambda endpoint, reason: None,
            pod=lambda endpoint: None,
            underlay=Underlay(self.fabric.mtu, self.fabric.family, address, 1),
            settings=self.settings,
        )

    def run(self, coroutine):
        """Run something in the driver's loop."""
        return self._loop.run(coroutine, limit_s=LIMIT_S)

    def call(self, method, *args):
        return self.run(call(self.driver, method, *args, limit_s=LIMIT_S))

    def gather(self, method, calls):
        """Call a method several times at once."""

        async def together():
            await asyncio.gather(*(call(self.driver, method, *args, limit_s=LIMIT_S) for args in calls))

        self.run(together())

    def restart(self):
        self.call("stop")
        self.start()

    def devices(self):
        return read_devices(self.netlink)

    def end(self):
        if self.driver is not None:
            self.call("stop")
        self._loop.close()
        self._netlink.close()
        self._ethtool.close()
        super().end()


class Fabric(Namespace):
    """The underlay: a switch that every node's NIC leads to."""

    def __init__(self, *, mtu, family):
        super().__init__("fabric")
        self.mtu, self.family = mtu, family
        self.switch = self.make_stranger("lan")
        self.netlink.run([links.set_link(self.switch, mtu=mtu, up=True)])

    def plug(self, node):
        self.netlink.run([links.set_link(self.link(node.name).ifindex, master=self.switch)])
        nic = node.link(NIC).ifindex
        node.netlink.run([add_address(nic, prefix.format(node.number)) for prefix in PREFIX.values()])


@attrs.define(eq=False)
class End:
    """One end of a link, in a pod that has its port; `patch` it to another one."""

    node: Node
    endpoint: Endpoint
    pod: KitPod
    port: object
    link: LinkEnd
    cidrs: tuple

    @property
    def station(self):
        return Station(self.pod, self.endpoint.interface, tuple(cidr.partition("/")[0] for cidr in self.cidrs))

    def as_peer(self, epoch=1):
        """What another node's driver is told of this end."""
        offer = self.node.call("node_offer")
        return Peer(self.node.name, None, epoch, receive_id=self.link.receive_id, node_offer=offer)

    def patch(self, other):
        """Patch to another end, or to what is known of one; give the pod carrier."""
        peer = other.as_peer() if isinstance(other, End) else other
        splice = self.node.call("patch", self.link, peer)
        self.node.splicer.splice(self.port, splice)
        self.node.splicer.set_up(self.port, up=True)
        return splice

    def unpatch(self):
        self.node.splicer.set_up(self.port, up=False)
        self.node.splicer.splice(self.port, None)
        self.node.call("unpatch", self.link)


class Net:
    """All of it; ends with the test."""

    def __init__(self, directory, *, mtu=1600, family=4, nodes=2):
        self._directory = directory
        self._vnis = itertools.count(4242)
        self.fabric = Fabric(mtu=mtu, family=family)
        self.nodes = []
        for _ in range(nodes):
            self.add_node().start()

    def add_node(self):
        node = Node(len(self.nodes) + 1, self.fabric, self._directory)
        self.nodes.append(node)
        return node

    def end(self, node, name, *, mtu=1500, uid=1, sandbox="sandbox-1"):
        """Return an end `POD:INTERFACE` on a node, its port made; `host` of its address is the node's number."""
        pod_name, _, interface = name.partition(":")
        pod, endpoint = node.pod(pod_name), Endpoint("default", pod_name, interface)
        cidrs = (f"10.0.{uid}.{node.number}/24", f"2001:db8:{uid:x}::{node.number:x}/64")
        mac = pod_mac("default", pod_name, interface)
        with pod.enter() as inside:
            (made,) = node.maker.make([PortWish(endpoint, uid, sandbox, mac, mtu, cidrs)], inside)
        if made.error is not None:
            raise made.error
        _, options = decode_options(VxlanDriver, {}, "options", object="the link under test")
        link = LinkEnd(
            local=endpoint, peer=None, parent=None, uid=uid, mtu=mtu, mac=mac, options=options, down=False,
            alias=Mark.of(endpoint, uid, sandbox).alias, port=made.port.facts(), pod=pod, epoch=1,
            receive_id=next(self._vnis),
        )  # fmt: skip
        return End(node, endpoint, pod, made.port, link, cidrs)

    def cable(self, left="r1:eth1", right="r2:eth1", **wishes):
        """Return two patched ends, on the first two nodes."""
        one, other = self.end(self.nodes[0], left, **wishes), self.end(self.nodes[1], right, **wishes)
        one.patch(other)
        other.patch(one)
        for end in (one, other):
            end.station.settle()
        return one, other

    def close(self):
        for node in self.nodes:
            node.end()
        self.fabric.close()


@pytest.fixture
def make_net(tmp_path):
    """A function that makes a `Net`."""
    with contextlib.ExitStack() as undo:

        def make(**wishes):
            try:
                net = Net(tmp_path, **wishes)
            except KernelError as error:
                pytest.skip(f"{error}: run as root, or in a user namespace (unshare --user --map-root-user --net)")
            undo.callback(net.close)
            return net

        yield make


@pytest.fixture
def net(make_net):
    """Two nodes on an underlay of IPv4."""
    return make_net()
