"""A right driver between nodes whose frames the kernel carries: a VXLAN device for each end.

It is here to be broken; see `far_saboteurs`.
"""

import asyncio
import hashlib
import ipaddress
import struct

from meshnet.driver import Device, LinkDriver, LinkError, Owned, Scope
from meshnet.errors import KernelError
from meshnet.model.names import parse_mark
from meshnet.model.topology import Endpoint
from meshnet.netlink import Request, ifla, links, tc
from meshnet.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, attribute, attributes, nested, string, u8, u32
from tests.testing.hop import delete

NEW_NEIGHBOUR, DELETE_NEIGHBOUR, GET_NEIGHBOUR = 28, 29, 30
APPEND = 0x800
ID, LOCAL, LEARNING, UDP_PORT, LOCAL6 = 1, 4, 7, 15, 17
DESTINATION, ADDRESS, VNI = 1, 2, 7
BRIDGE_FAMILY = 7
NEIGHBOUR = struct.Struct("=BxxxiHBB")
OWN, STATIC = 2, 0xC0
HEADERS = {4: 50, 6: 70}


class Tunnel(LinkDriver):
    """Any frame, honest."""

    api = 1
    name = "tunnel"
    scopes = Scope.BETWEEN_NODES

    async def start(self, ctx):
        self.netlink, self.underlay = ctx.netlink, ctx.underlay

    async def node_offer(self):
        return {"address": self.underlay.address}

    def mtu_limit(self, underlay):
        return underlay.mtu - HEADERS[underlay.family]

    async def patch(self, link, peer):
        if not peer.receive_id:
            raise LinkError("PeerUnknown", f"{link.local}: its peer is not known yet")
        found = self.found(link.local)
        device = found or self.make(link)
        try:
            self.netlink.run([tc.redirect(device.ifindex, link.port.ifindex)])
            self.lead(device.ifindex, self.target(link, peer))
            if (device.alias, device.mtu) != (link.alias, self.mtu(link)):
                self.netlink.run([links.set_link(device.ifindex, alias=link.alias, mtu=self.mtu(link))])
        except KernelError:
            if not found:
                await asyncio.to_thread(delete, [device.ifindex])
            raise
        return Device(device.ifindex)

    async def unpatch(self, link):
        found = self.found(link.local)
        if found is not None and found.alias == link.alias:
            await asyncio.to_thread(delete, [found.ifindex])

    async def inspect(self):
        return [
            Owned(Endpoint(mark.namespace, mark.pod, mark.interface), Device(link.ifindex), f"tunnel {link.name}")
            for link in self.devices()
            for mark in [parse_mark(link.alias)]
        ]

    async def discard(self, owned):
        if owned.splice.ifindex in {link.ifindex for link in self.devices()}:
            await asyncio.to_thread(delete, [owned.splice.ifindex])

    def devices(self):
        there = map(links.parse_link, self.netlink.dump(links.dump_links()))
        return [link for link in there if link.kind == "vxlan" and parse_mark(link.alias)]

    def found(self, endpoint):
        """The device of an endpoint, or None."""
        ours = (link for link in self.devices() if parse_mark(link.alias).is_of(endpoint))
        return next(ours, None)

    def device_name(self, link):
        return "t" + hashlib.sha256(str(link.local).encode()).hexdigest()[:12]

    def vni(self, link):
        return link.receive_id

    def target(self, link, peer):
        """Where frames go: an address, and what they are marked with there."""
        return ipaddress.ip_address(peer.node_offer["address"]).packed, peer.receive_id

    def mtu(self, link):
        return link.mtu

    def make(self, link):
        packed = ipaddress.ip_address(self.underlay.address).packed
        data = [
            u32(ID, self.vni(link)),
            attribute(LOCAL if len(packed) == 4 else LOCAL6, packed),
            u8(LEARNING, 0),
            attribute(UDP_PORT, struct.pack("!H", 51333)),
        ]
        info = nested(ifla.IFLA_LINKINFO, string(ifla.IFLA_INFO_KIND, "vxlan"), nested(ifla.IFLA_INFO_DATA, *data))
        body = ifla.IFINFO.pack(0, 0, 0, 0, 0) + string(ifla.IFLA_IFNAME, self.device_name(link)) + info
        self.netlink.run([Request(ifla.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, "make a tunnel")])
        device = links.parse_link(self.netlink.ask(links.get_link(self.device_name(link))))
        self.netlink.run([links.set_link(device.ifindex, alias=link.alias, mtu=self.mtu(link))])
        self.seal(device)
        self.netlink.run([links.set_link(device.ifindex, up=True)])
        return device

    def seal(self, device):
        """Keep the node's own stack out."""
        self.netlink.run(
            [
                links.set_link(device.ifindex, quiet=True),
                tc.add_clsact(device.ifindex),
                tc.add_ingress_drop(device.ifindex),
                tc.add_egress_own_drop(device.ifindex, device.mac),
            ]
        )

    def lead(self, ifindex, target):
        """Send everything to `target`, and nothing to where it went before."""
        before = self.leads(ifindex)
        if target not in before:
            self.netlink.run([entry(NEW_NEIGHBOUR, NLM_F_CREATE | APPEND, ifindex, target)])
        for other in before:
            if other != target:
                self.netlink.run([entry(DELETE_NEIGHBOUR, 0, ifindex, other)])

    def leads(self, ifindex):
        """Where a device sends to."""
        question = Request(GET_NEIGHBOUR, 0, NEIGHBOUR.pack(BRIDGE_FAMILY, 0, 0, 0, 0), "list where tunnels lead")
        found = []
        for payload in self.netlink.dump(question):
            there = attributes(payload, NEIGHBOUR.size)
            if NEIGHBOUR.unpack_from(payload)[1] == ifindex and there.get(ADDRESS) == bytes(6):
                own_id = there.get(VNI, there.get(0, b""))
                found.append((there[DESTINATION], struct.unpack("=I", own_id)[0] if own_id else 0))
        return found


def entry(kind, flags, ifindex, target):
    address, vni = target
    body = NEIGHBOUR.pack(BRIDGE_FAMILY, ifindex, STATIC, OWN, 0) + attribute(ADDRESS, bytes(6))
    return Request(kind, flags, body + attribute(DESTINATION, address) + u32(VNI, vni), f"lead tunnel {ifindex}")
