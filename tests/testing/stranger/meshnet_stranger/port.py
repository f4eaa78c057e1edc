"""A port, read and written by AF_PACKET: messages of a virtio header and a whole frame."""

import asyncio
import contextlib
import socket
import struct

from meshnet.driver import LinkError

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP, PACKET_AUXDATA, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 1, 8, 15, 23
PROMISCUOUS = 1
TAG_VALID, TAG_PROTOCOL_VALID = 0x10, 0x40
LARGEST = 1 << 17
QUEUE = 1 << 22
VIRTIO = struct.Struct("=BBHHHH")
AUXILIARY = struct.Struct("=IIIHHHH")
NEEDS_CHECKSUM = 1


class PacketPort:
    """Raises LinkError when there is no such port any more."""

    def __init__(self, port):
        self.port = port
        self.waiting = None
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
            self.socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
            membership = struct.pack("=iHH8s", port.ifindex, PROMISCUOUS, 0, b"")
            self.socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)
            self.socket.bind((port.name, ETH_P_ALL))
        except OSError as error:
            self.socket.close()
            raise LinkError("PortMissing", f"{port.endpoint}: its port {port.name}: {error.strerror}") from error

    def close(self):
        if self.waiting is not None:
            asyncio.get_running_loop().remove_reader(self.socket)
            self.waiting.cancel()
        self.socket.close()

    async def readable(self):
        """Wait until there is something to read."""
        loop = asyncio.get_running_loop()
        self.waiting = loop.create_future()
        loop.add_reader(self.socket, lambda waiting=self.waiting: waiting.done() or waiting.set_result(None))
        try:
            await self.waiting
        finally:
            if self.socket.fileno() >= 0:
                loop.remove_reader(self.socket)
            self.waiting = None

    def read(self):
        """Return the next message; None when there is none."""
        try:
            message, ancillary, _, _ = self.socket.recvmsg(LARGEST, socket.CMSG_SPACE(AUXILIARY.size))
        except OSError:  # nothing more, or once that the port went down
            return None
        return self.tagged(message, ancillary)

    def tagged(self, message, ancillary):
        """Put back the outer VLAN tag, which the kernel has taken out."""
        for _, kind, data in ancillary:
            status, _, _, _, _, tag, protocol = AUXILIARY.unpack(data) if kind == PACKET_AUXDATA else (0,) * 7
            if status & TAG_VALID:
                flags, gso, head, size, start, offset = VIRTIO.unpack_from(message)
                if flags & NEEDS_CHECKSUM:
                    head, start = head + 4, start + 4
                where = VIRTIO.size + 12
                outer = struct.pack("!HH", protocol if status & TAG_PROTOCOL_VALID else 0x8100, tag)
                virtio = VIRTIO.pack(flags, gso, head, size, start, offset)
                return virtio + message[VIRTIO.size : where] + outer + message[where:]
        return message

    def write(self, message):
        with contextlib.suppress(OSError):  # a full queue, a port that is down or gone: as on any cable
            self.socket.send(message)
