"""Drivers that are wrong in one way each, as strangers' drivers are."""

import asyncio
import contextlib
import secrets
import time

import attrs
from meshnet_macvlan import MacvlanDriver

from meshnet.driver import Device, Interface, LinkDriver, LinkError
from meshnet.errors import KernelError
from meshnet.netlink import Ethtool, Netlink, links
from tests.testing.hop import Hop, delete
from tests.testing.relay import Relay, Wire


async def told(*command):
    """Run a command; what it says of what is there already is of no interest."""
    await (await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)).wait()


class LeaksItsLink(Hop):
    async def unpatch(self, link):
        pass


class LeavesARule(Hop):
    """Routes something for each link, and forgets it."""

    async def patch(self, link, peer):
        made = await super().patch(link, peer)
        await told("ip", "rule", "add", "from", "203.0.113.1", "table", "77", "pref", str(link.uid))
        return made


class LeavesAForwardingEntry(Hop):
    """Leaves an entry for each link, at an interface that is not its own."""

    async def patch(self, link, peer):
        made = await super().patch(link, peer)
        await told("bridge", "fdb", "add", f"02:00:5e:00:53:{link.uid:02x}", "dev", "eth0", "self", "permanent")
        return made


class MakesItTwice(Hop):
    """Looks for nothing, makes a new one each time."""

    def names(self, link):
        token = secrets.token_hex(6)
        return "h" + token, "k" + token

    async def patch(self, link, peer):
        looked, self.found = self.found, lambda link: None
        try:
            return await super().patch(link, peer)
        finally:
            self.found = looked

    async def unpatch(self, link):
        await asyncio.to_thread(delete, [each.ifindex for each in self.found(link) or () if each.name[0] == "h"])


class ForgetsAtRestart(MakesItTwice):
    """Knows only what this instance has made."""

    def __init__(self):
        self.splices = {}

    async def patch(self, link, peer):
        if link.alias not in self.splices:
            self.splices[link.alias] = await super().patch(link, peer)
        for end in self.found(link) or ():
            self.netlink.run([links.set_link(end.ifindex, mtu=link.mtu)])
        return self.splices[link.alias]

    async def unpatch(self, link):
        self.splices.pop(link.alias, None)
        await super().unpatch(link)


class DeletesByName(Hop):
    """Takes everything for its own whose name begins like its own."""

    async def unpatch(self, link):
        there = map(links.parse_link, self.netlink.dump(links.dump_links()))
        await asyncio.to_thread(delete, [each.ifindex for each in there if each.name.startswith("h")])


class DeletesByTheKind(Hop):
    """Takes everything for its own that is a veth, bears a mark and is not core's."""

    async def unpatch(self, link):
        there = map(links.parse_link, self.netlink.dump(links.dump_links()))
        mine = [each.ifindex for each in there if each.alias.startswith("meshnet:1 ") and each.ifindex < 1 << 20]
        for ifindex in mine:
            with contextlib.suppress(KernelError):  # gone with its other end
                await asyncio.to_thread(delete, [ifindex])


class SplicesTheWrongInterface(Hop):
    async def patch(self, link, peer):
        await super().patch(link, peer)
        return Device(self.found(link)[1].ifindex)


class SplicesThePortItself(Hop):
    async def patch(self, link, peer):
        await super().patch(link, peer)
        return link.port


class SplicesNothing(Hop):
    async def patch(self, link, peer):
        await super().patch(link, peer)
        return Device(999_999)


class WorksOneWay(Hop):
    def target(self, link, peer):
        return peer.port.ifindex if link.local < link.peer else link.port.ifindex


class IgnoresTheMtu(Hop):
    def mtu(self, link):
        return 1500


class Hangs(Hop):
    """Waits for ever for what is gone already."""

    async def unpatch(self, link):
        if not self.found(link):
            await asyncio.sleep(3600)
        await super().unpatch(link)


class ReturnsTheWrongType(Hop):
    async def inspect(self):
        return {link.ifindex: link.name for link in self.devices()}


class MixesLinks(Hop):
    """Sends all that comes from a pod to one peer."""

    def __init__(self):
        self.peers = {}

    def target(self, link, peer):
        return self.peers.setdefault(link.local.pod, peer.port.ifindex)


class IsDishonest(Hop):
    """Turns offloads on again at a port, which is core's."""

    async def patch(self, link, peer):
        with Ethtool() as ethtool:
            ethtool.set_tx_checksum(link.port.name, on=True)
        return await super().patch(link, peer)


class LeavesHalf(Hop):
    async def patch(self, link, peer):
        if not self.found(link):
            self.make(link)
        return await super().patch(link, peer)


class CountsInWords(Hop):
    async def counters(self, local):
        return {"frames": "many"}


class ShortNamesOnly(Hop):
    """Builds device names from others, which may be longer."""

    def names(self, link):
        name = f"{link.local.pod[:4]}{link.local.interface}"
        return "h" + name, "k" + name


class TakesNamesOfPorts(Hop):
    """Has one more device for each link, named, numbered and marked as core does a port."""

    async def patch(self, link, peer):
        splice = await super().patch(link, peer)
        index = link.port.ifindex + 1000
        name = f"mn{index:012x}"
        if name not in {each.name for each in map(links.parse_link, self.netlink.dump(links.dump_links()))}:
            await told("ip", "link", "add", name, "index", str(index), "type", "veth")
            self.netlink.run([links.set_link(index, alias=link.alias)])
        return splice


class KeepsDescriptors(Hop):
    kept = []  # noqa: RUF012 - that is what is wrong

    async def patch(self, link, peer):
        self.kept.append(Netlink.open())
        return await super().patch(link, peer)


class InspectsItsMemory(Hop):
    def __init__(self):
        self.memory = []

    async def patch(self, link, peer):
        splice = await super().patch(link, peer)
        self.memory = await super().inspect()
        return splice

    async def inspect(self):
        return self.memory


class CannotDiscard(Hop):
    discard = LinkDriver.discard


class DiscardsTooMuch(Hop):
    async def discard(self, owned):
        await asyncio.to_thread(delete, [link.ifindex for link in self.devices() if link.name[0] == "h"])


class GivesNoReason(Hop):
    async def patch(self, link, peer):
        if peer.port is None:
            raise LinkError("the peer is not here", "the peer is not here")
        return await super().patch(link, peer)


class CleansUpAtStop(Hop):
    async def stop(self):
        await asyncio.to_thread(delete, [each.ifindex for each in self.devices() if each.name[0] == "h"])


class StopsLate(Hop):
    async def stop(self):
        await asyncio.sleep(60)


class LeavesSomethingAtStart(Hop):
    async def start(self, ctx):
        await super().start(ctx)
        KeepsDescriptors.kept.append(Netlink.open())


class OffersBytes(Hop):
    async def offer(self, local):
        return {"key": b"secret"}


class BlocksTheLoop(Hop):
    async def inspect(self):
        time.sleep(8)  # noqa: ASYNC251 - that is what is wrong


class ForgetsItsSockets(Relay):
    async def unpatch(self, link):
        pass


class NarrowWire(Wire):
    def send(self, frame):
        if len(frame) < 1600:
            super().send(frame)


class DropsLargeFrames(Relay):
    wire = NarrowWire


@attrs.frozen
class Rate:
    rate: int


class NeedsAnOption(Hop):
    options = Rate


class HasNoPatch(Hop):
    patch = LinkDriver.patch


class TakesTheName(MacvlanDriver):
    """Removes what stands in its way."""

    async def patch(self, link, peer):
        with link.pod.enter() as inside:
            for there in map(links.parse_link, inside.netlink.dump(links.dump_links())):
                if there.name == link.local.interface and there.alias != link.alias:
                    inside.netlink.run([links.delete_link(there.ifindex)])
        return await super().patch(link, peer)


class TakesNoCarrier(MacvlanDriver):
    async def set_carrier(self, link, up):
        pass


class NamesAnotherInterface(MacvlanDriver):
    async def patch(self, link, peer):
        await super().patch(link, peer)
        return Interface(1)


class MacvlanOfOneMtu(MacvlanDriver):
    async def patch(self, link, peer):
        return await super().patch(attrs.evolve(link, mtu=1500), peer)
