"""Frames over UDP, in pieces that fit the underlay, so that a link has any MTU."""

import asyncio
import contextlib
import socket
import struct

from meshnet.driver import LinkDriver, LinkError, Owned, Scope, Socket

from .port import PacketPort

PIECE = struct.Struct("!IIHH")
"""For whom (a receive id), which message, which piece of it, of how many."""
HEADERS = {4: 28, 6: 48}
AT_ONCE = 64


class UdpLink:
    """One end of a link."""

    port_class = PacketPort

    def __init__(self, driver, link):
        self.driver = driver
        self.link = link
        self.target, self.peer_id, self.sequence = None, 0, 0
        self.pieces, self.of = {}, -1
        self.port = self.port_class(link.port)
        asyncio.get_running_loop().add_reader(self.port.socket, self.send)

    def close(self):
        asyncio.get_running_loop().remove_reader(self.port.socket)
        self.port.close()

    def send(self):
        for _ in range(AT_ONCE):
            message = self.port.read()
            if message is None:
                return
            self.sequence = (self.sequence + 1) & 0xFFFFFFFF
            self.driver.send(self, message)

    def take(self, sequence, index, count, data):
        """Take in a piece; write the message to the port when it is whole."""
        if sequence != self.of:
            self.pieces, self.of = {}, sequence
        self.pieces[index] = data
        if len(self.pieces) == count:
            self.port.write(b"".join(self.pieces[place] for place in range(count)))
            self.pieces = {}


class UdpWire(LinkDriver):
    api = 1
    name = "udpwire"
    scopes = Scope.BETWEEN_NODES
    link_class = UdpLink

    def __init__(self):
        self.links, self.by_id = {}, {}

    async def start(self, ctx):
        if not ctx.underlay.address:
            raise LinkError("UnderlayMissing", "this node has no address on the underlay")
        self.address, self.udp_port = ctx.underlay.address, int(ctx.settings.get("port", "51222"))
        self.room = ctx.underlay.mtu - HEADERS[ctx.underlay.family] - PIECE.size
        family = socket.AF_INET6 if ctx.underlay.family == 6 else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
        self.socket.bind((self.address, self.udp_port))
        asyncio.get_running_loop().add_reader(self.socket, self.receive)

    async def stop(self):
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()
        for link in list(self.links.values()):
            self.drop(link)

    async def node_offer(self):
        return {"address": self.address, "port": self.udp_port}

    async def patch(self, link, peer):
        if peer is None or not peer.receive_id or "address" not in peer.node_offer:
            raise LinkError("PeerUnknown", f"{link.local}: not known yet how its peer is reached")
        there = self.links.get(link.local)
        if there is None or there.link.port != link.port:
            made = self.link_class(self, link)
            if there is not None:
                self.drop(there)
            there = self.links[link.local] = made
        there.link = link
        self.by_id[link.receive_id] = there
        there.target, there.peer_id = (peer.node_offer["address"], peer.node_offer["port"]), peer.receive_id
        return Socket()

    async def unpatch(self, link):
        there = self.links.get(link.local)
        if there is not None and there.link.alias == link.alias:
            self.drop(there)

    async def inspect(self):
        return [Owned(local, Socket(), f"UDP wire to {link.target[0]}") for local, link in self.links.items()]

    async def discard(self, owned):
        if owned.endpoint in self.links:
            self.drop(self.links[owned.endpoint])

    def drop(self, link):
        del self.links[link.link.local]
        self.by_id.pop(link.link.receive_id, None)
        link.close()

    def send(self, link, message):
        count = -(-len(message) // self.room)
        for index in range(count):
            piece = message[index * self.room : (index + 1) * self.room]
            head = PIECE.pack(link.peer_id, link.sequence, index, count)
            with contextlib.suppress(OSError):  # lost, as on any cable
                self.socket.sendto(head + piece, link.target)

    def receive(self):
        with contextlib.suppress(BlockingIOError):
            for _ in range(AT_ONCE):
                data, source = self.socket.recvfrom(1 << 16)
                if len(data) > PIECE.size:
                    ours, sequence, index, count = PIECE.unpack_from(data)
                    link = self.by_id.get(ours)
                    if link is not None and source[0] == link.target[0] and index < count:
                        link.take(sequence, index, count, data[PIECE.size :])
