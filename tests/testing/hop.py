"""A right driver with devices of its own: a veth beside each port, whose far end forwards to the peer's port.

It is here to be broken; see `saboteurs`.
"""

import asyncio
import hashlib

from meshnet.driver import Device, LinkDriver, LinkError, Owned, Scope
from meshnet.model.names import parse_mark
from meshnet.model.topology import Endpoint
from meshnet.netlink import Netlink, VethSpec, links, tc
from meshnet.netlink.netns import own_netns


class Hop(LinkDriver):
    """Same node, any frame, honest."""

    api = 1
    name = "hop"
    scopes = Scope.SAME_NODE

    async def start(self, ctx):
        self.netlink = ctx.netlink

    async def patch(self, link, peer):
        if peer is None or peer.port is None:
            raise LinkError("PeerNotHere", "the peer is on another node")
        near, far = self.found(link) or self.make(link)
        for end in (near, far):
            if end.mtu != self.mtu(link):
                self.netlink.run([links.set_link(end.ifindex, mtu=self.mtu(link))])
        self.netlink.run([tc.redirect(far.ifindex, self.target(link, peer))])
        return Device(near.ifindex)

    async def unpatch(self, link):
        found = self.found(link)
        if found:
            await asyncio.to_thread(delete, [found[0].ifindex])

    async def inspect(self):
        return [
            Owned(Endpoint(mark.namespace, mark.pod, mark.interface), Device(link.ifindex), f"hop {link.name}")
            for link in self.devices()
            for mark in [parse_mark(link.alias)]
        ]

    async def discard(self, owned):
        if owned.splice.ifindex in {link.ifindex for link in self.devices()}:
            await asyncio.to_thread(delete, [owned.splice.ifindex])

    def devices(self):
        """Both ends of every hop on the node."""
        there = map(links.parse_link, self.netlink.dump(links.dump_links()))
        return [link for link in there if link.name[0] in "hk" and parse_mark(link.alias)]

    def found(self, link):
        """The near and the far end of a link's hop, or None."""
        ends = sorted((each for each in self.devices() if each.alias == link.alias), key=lambda end: end.name)
        return ends or None

    def names(self, link):
        digest = hashlib.sha256(link.alias.encode()).hexdigest()[:12]
        return "h" + digest, "k" + digest

    def mtu(self, link):
        return link.mtu

    def target(self, link, peer):
        return peer.port.ifindex

    def make(self, link):
        near, far = self.names(link)
        with open(own_netns(), "rb", buffering=0) as here:
            spec = VethSpec(near, 0, "06:00:5e:00:55:01", self.mtu(link), far, "06:00:5e:00:55:02", here.fileno())
            self.netlink.run([links.new_veth(spec)])
        ends = [links.parse_link(self.netlink.ask(links.get_link(name))) for name in (near, far)]
        for end in ends:
            self.netlink.run([links.set_link(end.ifindex, alias=link.alias, quiet=True)])
            self.netlink.run([links.set_link(end.ifindex, up=True)])
        self.netlink.run([tc.add_clsact(ends[1].ifindex)])
        return ends


def delete(ifindexes):
    with Netlink.open() as netlink:
        for ifindex in ifindexes:
            netlink.run([links.delete_link(ifindex)])
