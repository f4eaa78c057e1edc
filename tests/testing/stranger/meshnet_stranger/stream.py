"""Frames over a stream of core's: the lower of the two ends opens it, and again when it was lost."""

import asyncio
import contextlib

from meshnet.driver import LinkDriver, LinkError, Owned, Scope, Socket, StreamEnded

from .port import PacketPort

AGAIN_S = 0.1


class StreamLink:
    """One end of a link."""

    def __init__(self, link, peer):
        self.link, self.peer = link, peer
        self.port = PacketPort(link.port)
        self.stream, self.opening, self.failed = None, None, False

    def close(self):
        for ending in (self.stream, self.port):
            if ending is not None:
                ending.close()
        if self.opening is not None:
            self.opening.cancel()


class StreamWire(LinkDriver):
    api = 1
    name = "streamwire"
    scopes = Scope.BETWEEN_NODES

    def __init__(self):
        self.links = {}

    async def start(self, ctx):
        self.ctx = ctx

    async def stop(self):
        for link in list(self.links.values()):
            await self.drop(link)

    async def patch(self, link, peer):
        if peer is None or not peer.receive_id:
            raise LinkError("PeerUnknown", f"{link.local}: its peer is not known yet")
        there = self.links.get(link.local)
        if there is not None and self.same(there, link, peer):
            there.link = link
            return Socket()
        made = StreamLink(link, peer)
        if there is not None:
            await self.drop(there)
        self.links[link.local] = made
        if link.local < link.peer:
            made.opening = asyncio.create_task(self.keep_open(made))
        return Socket()

    def same(self, there, link, peer):
        return (there.link.port, there.link.peer, there.peer.node, there.peer.epoch) == (
            link.port,
            link.peer,
            peer.node,
            peer.epoch,
        )

    async def unpatch(self, link):
        there = self.links.get(link.local)
        if there is not None and there.link.alias == link.alias:
            await self.drop(there)

    async def inspect(self):
        return [Owned(local, Socket(), f"stream wire to {link.peer.node}") for local, link in self.links.items()]

    async def discard(self, owned):
        if owned.endpoint in self.links:
            await self.drop(self.links[owned.endpoint])

    async def accept_stream(self, local, peer, stream):
        link = self.links.get(local)
        if link is not None and link.link.peer == peer:
            await self.carry(link, stream)

    async def drop(self, link):
        del self.links[link.link.local]
        link.close()
        if link.opening is not None:
            await asyncio.wait({link.opening})

    async def keep_open(self, link):
        while True:
            with contextlib.suppress(LinkError):
                await self.carry(link, await self.ctx.stream(link.link, link.peer.node))
            await asyncio.sleep(AGAIN_S)

    async def carry(self, link, stream):
        """Carry frames both ways until the stream is over; a newer one takes its place."""
        if link.stream is not None:
            link.stream.close()
        link.stream = stream
        self.tell(link, "")
        ways = {asyncio.ensure_future(way) for way in (self.send(link, stream), self.receive(link, stream))}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stream.close()
            for way in ways:
                way.cancel()
            await asyncio.wait(ways)
            if link.stream is stream:
                link.stream = None
                if self.links.get(link.link.local) is link:
                    self.tell(link, "StreamLost")

    async def send(self, link, stream):
        with contextlib.suppress(StreamEnded):
            while True:
                await link.port.readable()
                while (message := link.port.read()) is not None:
                    await stream.write(message)

    async def receive(self, link, stream):
        with contextlib.suppress(StreamEnded):
            while True:
                link.port.write(await stream.read())

    def tell(self, link, reason):
        if link.failed != bool(reason):
            link.failed = bool(reason)
            self.ctx.changed(link.link.local, reason)
