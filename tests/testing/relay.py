"""A right driver that carries frames itself: reads one port and writes the other by AF_PACKET."""

import asyncio
import contextlib
import socket

from meshnet.driver import Carries, LinkDriver, LinkError, Owned, Scope, Socket

ETH_P_ALL = 3
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
LARGEST = 1 << 17


class Wire:
    """One direction: from one port to another."""

    def __init__(self, source, target):
        self.source, self.target = source, target
        with contextlib.ExitStack() as undo:
            self.reader = undo.enter_context(packet_socket(source))
            self.writer = undo.enter_context(packet_socket(target, protocol=0))
            undo.pop_all()
        asyncio.get_running_loop().add_reader(self.reader, self.forward)

    def forward(self):
        with contextlib.suppress(OSError):  # nothing more, or once ENETDOWN when the port goes down
            for _ in range(64):
                frame = self.reader.recv(LARGEST)
                with contextlib.suppress(OSError):  # a full queue, a port that is down: as on any cable
                    self.send(frame)

    def send(self, frame):
        self.writer.send(frame)

    def close(self):
        asyncio.get_running_loop().remove_reader(self.reader)
        self.reader.close()
        self.writer.close()


class Relay(LinkDriver):
    """Same node; frames of the interfaces' own MACs, whole super-frames with their virtio header."""

    api = 1
    name = "relay"
    scopes = Scope.SAME_NODE
    carries = Carries.OWN_MAC
    wire = Wire

    def __init__(self):
        self.wires = {}

    async def patch(self, link, peer):
        if peer is None or peer.port is None:
            raise LinkError("PeerNotHere", "the peer is on another node")
        wire = self.wires.get(link.alias)
        if wire and (wire.source, wire.target) != (link.port, peer.port):
            self.wires.pop(link.alias).close()
        if link.alias not in self.wires:
            self.wires[link.alias] = self.wire(link.port, peer.port)
        return Socket()

    async def unpatch(self, link):
        if link.alias in self.wires:
            self.wires.pop(link.alias).close()

    async def stop(self):
        while self.wires:
            self.wires.popitem()[1].close()

    async def inspect(self):
        return [Owned(wire.source.endpoint, Socket(), f"sockets of {alias}") for alias, wire in self.wires.items()]


def packet_socket(port, protocol=ETH_P_ALL):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    sock.setsockopt(263, PACKET_VNET_HDR, 1)
    sock.setsockopt(263, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind((port.name, protocol))
    return sock
