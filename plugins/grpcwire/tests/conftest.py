"""Two nodes for wires: two drivers with the ports of both in one namespace, joined by streams in memory."""

import asyncio
import collections
import contextlib
import errno
import logging
import time

import attrs
import pytest
from meshnet_grpcwire import GrpcwireDriver, writer
from meshnet_grpcwire.libc import IoVec, MMsgHdr, send_many
from meshnet_grpcwire.virtio import HEADER, LONGEST_WHOLE

from meshnet.driver import DriverContext, LinkEnd, LinkError, NoOptions, Peer, StreamEnded, Underlay
from meshnet.driver.calls import call
from meshnet.model.names import pod_mac
from meshnet.model.topology import Endpoint
from meshnet.netlink import Ethtool, Netlink
from meshnet.netlink.ifla import IFF_RUNNING
from meshnet.panel.indices import Indices
from meshnet.panel.make import PortMaker
from meshnet.panel.port import PortWish
from meshnet.panel.splice import Splicer
from meshnet.testing.cable import fit_frames
from meshnet.testing.loop import LoopThread

IN_FLIGHT = 4
"""Messages that a stream takes before it makes its writer wait."""


class MemoryStream:
    """One end of a stream in memory, which is full after a few messages. Made by `pair`."""

    def __init__(self):
        self.queue = collections.deque()
        self.ended = False
        self.peer = None
        self.changed = asyncio.Event()
        self.writes = 0
        self.largest = 0
        self.stuck = False
        self.endless = False
        self.waiting = False
        self.noted = bool

    @classmethod
    def pair(cls):
        one, other = cls(), cls()
        one.peer, other.peer = other, one
        return one, other

    async def write(self, message):
        assert type(message) is bytes
        while not self.ended and (self.peer.stuck or (len(self.peer.queue) >= IN_FLIGHT and not self.endless)):
            self.waiting = True
            await self._wait()
        self.waiting = False
        self._check()
        self.writes += 1
        self.noted()
        self.largest = max(self.largest, len(message))
        self.peer.queue.append(message)
        self._notify()

    async def read(self):
        while not self.ended and (self.stuck or not self.queue):
            await self._wait()
        self._check()
        message = self.queue.popleft()
        self._notify()
        return message

    def close(self):
        self.ended = self.peer.ended = True
        self._notify()

    def jam(self, stuck=True):
        """The other side does not take this end's messages any more."""
        self.peer.stuck = stuck
        self._notify()

    def _check(self):
        if self.ended:
            raise StreamEnded("closed")

    async def _wait(self):
        self.changed.clear()
        await self.changed.wait()

    def _notify(self):
        self.changed.set()
        self.peer.changed.set()


class Station:
    """An interface of a pod, and its address."""

    def __init__(self, pod, interface, address):
        self.namespace, self.interface, self.address = pod, interface, address

    @property
    def link(self):
        return self.namespace.link(self.interface)

    def settle(self):
        deadline = time.monotonic() + 3
        while not self.link.flags & IFF_RUNNING:
            assert time.monotonic() < deadline, f"{self.interface} gets no carrier"
            time.sleep(0.005)
        time.sleep(0.02)  # its queue opens a moment after the flag


class End:
    """One end of a link, on a node of its own as far as drivers can tell."""

    def __init__(self, nodes, name, peer, *, uid, mtu, host):
        self.nodes = nodes
        pod, _, interface = name.partition(":")
        self.endpoint = Endpoint("default", pod, interface)
        self.peer = Endpoint("default", *peer.split(":"))
        self.pod = nodes.node.pod(pod)
        self.uid, self.mtu, self.epoch, self.peer_epoch = uid, mtu, 1, 1
        self.offload = False
        self.told = {}
        self.splice = None
        self.station = Station(self.pod, interface, f"10.0.{uid}.{host}")
        cidrs = (f"10.0.{uid}.{host}/24", f"2001:db8:{uid:x}::{host:x}/64")
        self.wish = PortWish(self.endpoint, uid, f"sandbox-of-{pod}", pod_mac("default", pod, interface), mtu, cidrs)
        self.port = None

    def make_port(self):
        with self.pod.enter() as inside:
            (made,) = self.nodes.maker.make([self.wish], inside)
        assert made.error is None, made.error
        self.port = made.port

    def link(self, **changes):
        alias = f"{self.endpoint} {self.uid} {self.epoch}"
        link = LinkEnd(self.endpoint, self.peer, None, self.uid, self.mtu, self.wish.mac, NoOptions(), False,
                       alias, self.port.facts(), self.pod, self.epoch, 7)  # fmt: skip
        return attrs.evolve(link, offload=self.offload, **changes)

    def patch(self, **changes):
        peer = Peer(f"node-of-{self.peer.pod}", None, self.peer_epoch, 8, node_offer=self.told)
        return self.nodes.call("patch", self.link(), attrs.evolve(peer, **changes))

    def fit_frames(self):
        fit_frames(self.port, self.pod, self.nodes.splicer, self.splice, offload=self.offload)

    def unpatch(self):
        self.nodes.call("unpatch", self.link())

    def set_up(self, up):
        self.nodes.within(lambda: self.nodes.splicer.set_up(self.port, up=up))

    @property
    def counters(self):
        return self.nodes.call("counters", self.endpoint)

    @property
    def wire(self):
        return self.nodes.drivers[self.endpoint.pod]._wires[self.endpoint]


class Cable:
    """A link of two ends; the left one opens the stream when its name is the lower one."""

    def __init__(self, nodes, left, right, *, uid, mtu):
        self.nodes = nodes
        self.ends = [
            End(nodes, left, right, uid=uid, mtu=mtu, host=1),
            End(nodes, right, left, uid=uid, mtu=mtu, host=2),
        ]
        self.near, self.far = (end.station for end in self.ends)
        for end in self.ends:
            end.make_port()

    def patch(self, *, offload=False):
        """Patch both ends, wait for their stream and give them carrier."""
        for end in self.ends:
            end.offload, end.told = offload, self.nodes.run(self.nodes.driver(end.peer.pod).node_offer())
            end.splice = end.patch()
            end.fit_frames()
            self.nodes.splicer.splice(end.port, end.splice, offload=offload)
        self.nodes.within(lambda: self.carried)
        for end in self.ends:
            end.set_up(True)
        self.near.settle()
        self.far.settle()

    @property
    def carried(self):
        """Whether a stream carries it at both ends."""
        return all(end.wire._carrying for end in self.ends)

    @property
    def stream(self):
        """The opener's end of its present stream."""
        return self.nodes.streams[min(end.endpoint for end in self.ends)]


class Loop(LoopThread):
    """A loop in a thread, in which plain functions can be called, too."""

    def call(self, function, *args):
        async def called():
            return function(*args)

        return self.run(called(), limit_s=10)


class Nodes:
    """Drivers, one for every pod that is asked for, as if each ran on a node of its own.

    Attributes:
        drivers: by pod.
        streams: by the opening endpoint: the opener's end of the latest.
        opened: how many streams were, and `opened_for` the link of the latest.
        refuse: the reason for which none can be opened, if there is one.
        changes: what the drivers told.
        make_stream: returns both ends of a new one.
    """

    def __init__(self, node, directory):
        self.node = node
        self.drivers = {}
        self.streams = {}
        self.served = set()
        self.opened = 0
        self.opened_for = None
        self.refuse = ""
        self.changes = []
        self.settings = {}
        self.make_stream = MemoryStream.pair
        self.netlink = Netlink.open()
        self.ethtool = Ethtool()
        self.maker = PortMaker(node.netlink, self.ethtool, Indices(directory / "indices"))
        self.splicer = Splicer(node.netlink, self.ethtool, redirect_peer=False)
        self.loop = Loop()

    def close(self):
        for driver in self.drivers.values():
            self.run(driver.stop())
        self.loop.close()
        self.ethtool.close()
        self.netlink.close()

    def run(self, coroutine, limit_s=10.0):
        return self.loop.run(coroutine, limit_s=limit_s)

    def cable(self, left="r1:eth1", right="r2:eth1", *, uid=1, mtu=1500, offload=False):
        """Return a patched link with carrier."""
        cable = Cable(self, left, right, uid=uid, mtu=mtu)
        cable.patch(offload=offload)
        return cable

    def call(self, method, *args):
        """Call the driver of the node that the argument is of, as core does."""
        endpoint = getattr(args[0], "local", args[0])
        return self.run(call(self.driver(endpoint.pod), method, *args, limit_s=10))

    def driver(self, pod):
        if pod not in self.drivers:
            driver = self.drivers[pod] = GrpcwireDriver()
            self.run(call(driver, "start", self.context(pod), limit_s=10))
        return self.drivers[pod]

    def restart(self, pod):
        """A daemon ends and starts again: all its streams with it."""
        self.run(self.drivers.pop(pod).stop())
        self.driver(pod)

    def context(self, pod):
        return DriverContext(
            node=f"node-of-{pod}",
            netlink=self.netlink,
            log=logging.getLogger("meshnet.driver.grpcwire"),
            allocate=lambda pool, endpoint: 1,
            changed=lambda endpoint, reason: self.changes.append((str(endpoint), reason)),
            pod=lambda endpoint: None,
            underlay=Underlay(1500, 4),
            settings=self.settings,
            stream=self.open_stream,
        )

    async def open_stream(self, link, peer_node):
        driver = self.drivers.get(peer_node.removeprefix("node-of-"))
        if self.refuse or driver is None or link.peer not in driver._wires:
            raise LinkError(self.refuse or "PeerNotPatched", f"{link.peer} is not patched")
        mine, theirs = self.make_stream()
        self.streams[link.local] = mine
        self.opened += 1
        self.opened_for = link
        self.spawn(driver.accept_stream(link.peer, link.local, theirs))
        return mine

    def spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.served.add(task)
        task.add_done_callback(self.served.discard)

    def serve(self, end, *streams):
        """Have an end accept streams, all at a time."""
        driver = self.driver(end.endpoint.pod)

        async def accept():
            for stream in streams:
                self.spawn(driver.accept_stream(end.endpoint, end.peer, stream))

        self.run(accept())

    def within(self, condition, limit_s=5.0):
        """Wait until a condition is met, at most so long; return what it gave."""

        deadline = time.monotonic() + limit_s
        while not (value := condition()):
            assert time.monotonic() < deadline, "it does not come true"
            time.sleep(0.005)
        return value


@pytest.fixture
def memory_stream():
    return MemoryStream


@pytest.fixture
def nodes(meshnet_node, tmp_path):
    """Drivers on as many nodes as are needed."""
    with contextlib.closing(Nodes(meshnet_node, tmp_path)) as nodes:
        yield nodes


@pytest.fixture
def fragmented_memory(monkeypatch):
    """Have the kernel refuse what does not fit into single pages; has the lengths that it refused."""
    refused = []

    def send_first(fd, headers, count):
        length = IoVec.from_address(MMsgHdr.from_address(headers).header.iov).length
        if length > HEADER.size + LONGEST_WHOLE:
            refused.append(length)
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return send_many(fd, headers, 1)

    monkeypatch.setattr(writer, "send_many", send_first)
    return refused
