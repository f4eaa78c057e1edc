"""Drivers between nodes that are wrong in one way each."""

import asyncio
import contextlib

from meshnet.driver import LinkError, StreamEnded
from meshnet.netlink import Ethtool, links, tc
from tests.testing.hop import delete
from tests.testing.stranger.meshnet_stranger.port import VIRTIO, PacketPort
from tests.testing.stranger.meshnet_stranger.stream import StreamWire
from tests.testing.stranger.meshnet_stranger.udp import UdpLink, UdpWire
from tests.testing.tunnel import Tunnel

ACCEPT, MIRROR = 0, 2


class MarksWithItsOwnId(Tunnel):
    """Marks what it sends as what it receives is marked."""

    def target(self, link, peer):
        return super().target(link, peer)[0], link.receive_id


class MarksWithTheUid(Tunnel):
    """Takes what the user has chosen for unique."""

    def vni(self, link):
        return link.uid

    def target(self, link, peer):
        return super().target(link, peer)[0], link.uid


class ForgetsToTurn(Tunnel):
    """Leads where it led at first."""

    def lead(self, ifindex, target):
        if not self.leads(ifindex):
            super().lead(ifindex, target)


class LeadsToBoth(Tunnel):
    """Adds where the new peer is, and leaves where the old one was."""

    def leads(self, ifindex):
        return []

    def lead(self, ifindex, target):
        if target not in super().leads(ifindex):
            super().lead(ifindex, target)


class RemembersThePeer(Tunnel):
    """Knows a peer by its name, as if it had moved never."""

    def __init__(self):
        self.known = {}

    def target(self, link, peer):
        return self.known.setdefault(link.peer, super().target(link, peer))


class KnowsOnePeerAPod(Tunnel):
    """Sends all that comes from a pod to the peer that it has had first."""

    def __init__(self):
        self.known = {}

    def target(self, link, peer):
        return self.known.setdefault(link.local.pod, super().target(link, peer))


class LeaksItsTunnel(Tunnel):
    async def unpatch(self, link):
        pass


class LeavesHalfATunnel(Tunnel):
    async def patch(self, link, peer):
        if not self.found(link.local):
            self.make(link)
        return await super().patch(link, peer)


class MakesItAnew(Tunnel):
    """Knows only what this instance has made, and clears away what is there."""

    def __init__(self):
        self.made = set()

    def found(self, endpoint):
        return super().found(endpoint) if endpoint in self.made else None

    async def patch(self, link, peer):
        if link.local not in self.made:
            await asyncio.to_thread(delete, [each.ifindex for each in self.devices() if each.alias == link.alias])
        splice = await super().patch(link, peer)
        self.made.add(link.local)
        return splice


class FindsByAlias(Tunnel):
    """Looks for the sandbox's device, and so makes two for an endpoint."""

    def device_name(self, link):
        return "t" + str(abs(hash(link.alias)))[:12]

    def vni(self, link):
        return link.receive_id ^ (abs(hash(link.alias)) & 0xFFFF)

    async def patch(self, link, peer):
        self.found = lambda endpoint: next((each for each in self.devices() if each.alias == link.alias), None)
        return await super().patch(link, peer)


class TakesTheNewerOnes(Tunnel):
    """Removes what an endpoint has, whichever sandbox it is for."""

    async def unpatch(self, link):
        found = self.found(link.local)
        if found is not None:
            await asyncio.to_thread(delete, [found.ifindex])


class DeletesByFirstLetter(Tunnel):
    async def unpatch(self, link):
        there = map(links.parse_link, self.netlink.dump(links.dump_links()))
        await asyncio.to_thread(delete, [each.ifindex for each in there if each.name.startswith("t")])


class PromisesTooMuch(Tunnel):
    """Forgets the header of the frame inside."""

    def mtu_limit(self, underlay):
        return super().mtu_limit(underlay) + 14


class SpeaksForTheNode(Tunnel):
    """Brings its device up as it comes."""

    def seal(self, device):
        self.netlink.run([tc.add_clsact(device.ifindex)])


class CopiesToTheNode(Tunnel):
    """Mirrors what it should redirect, so that the node hears it, too."""

    def seal(self, device):
        self.netlink.run([links.set_link(device.ifindex, quiet=True), tc.add_clsact(device.ifindex)])

    async def patch(self, link, peer):
        splice = await super().patch(link, peer)
        away = tc.redirect(splice.ifindex, link.port.ifindex)
        stolen = tc._MIRRED.pack(0, 0, tc.TC_ACT_STOLEN, 0, 0, tc.TCA_EGRESS_REDIR, link.port.ifindex)
        passed = tc._MIRRED.pack(0, 0, ACCEPT, 0, 0, MIRROR, link.port.ifindex)
        self.netlink.run([away._replace(body=away.body.replace(stolen, passed))])
        return splice


class TurnsOffloadsOn(Tunnel):
    async def patch(self, link, peer):
        with Ethtool() as ethtool:
            ethtool.set_tx_checksum(link.port.name, on=True)
        return await super().patch(link, peer)


class TagEatingPort(PacketPort):
    def tagged(self, message, ancillary):
        return message


class TagEatingLink(UdpLink):
    port_class = TagEatingPort


class EatsVlanTags(UdpWire):
    link_class = TagEatingLink


class Truncates(UdpWire):
    """Has a buffer for what is common."""

    def send(self, link, message):
        super().send(link, message[: VIRTIO.size + 1514])


class LeavesNothingToDo(StreamWire):
    """With offload it says that all is done, of frames that still want cutting and a checksum."""

    async def receive(self, link, stream):
        with contextlib.suppress(StreamEnded):
            while True:
                message = await stream.read()
                done = bytes(VIRTIO.size) if link.link.offload else message[: VIRTIO.size]
                link.port.write(done + message[VIRTIO.size :])


class GivesToAll(UdpWire):
    """Takes frames for whoever is linked with the node that they come from."""

    def receive(self):
        ours, self.by_id = self.by_id, _Anybody(self.links)
        super().receive()
        self.by_id = ours


class _Anybody:
    def __init__(self, links):
        self.links = links

    def get(self, ours):
        return _Everybody(list(self.links.values())) if self.links else None


class _Everybody:
    def __init__(self, links):
        self.links, self.target = links, links[0].target

    def take(self, *piece):
        for link in self.links:
            link.take(*piece)


class KeepsMemory(UdpWire):
    def __init__(self):
        super().__init__()
        self.kept = []

    async def patch(self, link, peer):
        self.kept.append(b"k" * (1 << 19))
        return await super().patch(link, peer)


class KeepsTasks(UdpWire):
    async def patch(self, link, peer):
        self.task = asyncio.create_task(asyncio.sleep(3600))
        return await super().patch(link, peer)


class KeepsOpen(UdpWire):
    """Opens a socket more each time, and closes them at its end."""

    def __init__(self):
        super().__init__()
        self.kept = []

    async def patch(self, link, peer):
        self.kept.append(PacketPort(link.port))
        return await super().patch(link, peer)

    async def stop(self):
        for port in self.kept:
            port.close()
        await super().stop()


class CarriesWhatIsCommon(UdpWire):
    """Ignores the MTU of a link."""

    def send(self, link, message):
        if len(message) <= VIRTIO.size + 1518:
            super().send(link, message)


class DiesWithItsStream(StreamWire):
    """Opens one stream for good."""

    async def keep_open(self, link):
        await self.carry(link, await self.ctx.stream(link.link, link.peer.node))


class WaitsForItsPeer(StreamWire):
    """Has a stream before it says that it has patched."""

    async def patch(self, link, peer):
        if link.local < link.peer:
            (await self.ctx.stream(link, peer.node)).close()
        return await super().patch(link, peer)


class TakesLeave(StreamWire):
    """Has its peer know that a link goes, before it goes."""

    async def unpatch(self, link):
        there = self.links.get(link.local)
        if there is not None and link.local < link.peer:
            (await self.ctx.stream(link, there.peer.node)).close()
        await super().unpatch(link)


class TakesItsTime(StreamWire):
    """Is in no hurry to open a stream."""

    async def keep_open(self, link):
        await asyncio.sleep(4)
        await super().keep_open(link)


class CriesWolf(StreamWire):
    async def patch(self, link, peer):
        self.ctx.changed(link.local, "NotYet")
        return await super().patch(link, peer)


class KeepsComplaining(StreamWire):
    """Tells failures only."""

    def tell(self, link, reason):
        if reason:
            super().tell(link, reason)


class SaysNothing(StreamWire):
    def tell(self, link, reason):
        pass


class NeedsItsPeer(Tunnel):
    """Fails by an error of its own on what is not known, having begun."""

    async def patch(self, link, peer):
        if not peer.receive_id:
            self.make(link)
            raise LinkError("PeerUnknown", f"{link.local}: its peer is not known yet")
        return await super().patch(link, peer)
