"""Links to another node: carrier, state and what is told, by what its daemon tells and how it is reached."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from meshnet.driver.api import Device, LinkDriver, Scope, Socket
from meshnet.errors import LinkError
from meshnet.model.node_record import DriverFacts, NodeRecord
from meshnet.model.resource import Kind
from meshnet.model.session import Contact, EndState
from meshnet.model.topology import Endpoint
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.linkstate import link_state
from meshnet.reconcile.table import Table
from meshnet.stores.memory import MemoryStore
from tests.reconcile.made import end, enter, link, sandbox, topology
from tests.reconcile.parts import Parts
from tests.virtual_time import run

HERE, THERE = Endpoint("default", "r1", "eth1"), Endpoint("default", "r2", "eth1")
GOOD = EndState(epoch=5, driver="tunnel", patched=HERE, patched_epoch=1, up=True)


class Tunnel(LinkDriver):
    api = 1
    name = "tunnel"
    scopes = claims = Scope.BETWEEN_NODES
    splice = Device(9)

    def __init__(self):
        self.calls = []
        self.error = None
        self.offered = {}

    async def offer(self, local):
        self.offered["mine"] = str(local)
        return self.offered

    async def patch(self, link, peer):
        self.calls.append(("patch", link, peer))
        if self.error:
            raise self.error
        return self.splice

    async def unpatch(self, link):
        self.calls.append(("unpatch", link))


class Wire(Tunnel):
    name = "wire"
    claims = Scope(0)
    splice = Socket()


class Local(Tunnel):
    name = "local"
    scopes = claims = Scope.SAME_NODE

    async def patch(self, link, peer):
        self.calls.append(("patch", link, peer))
        return peer.port


class Audience:
    def __init__(self):
        self.told = []
        self.wanted = []

    def announce(self, node, endpoint, state):
        self.told.append((node, endpoint, state))

    def want(self, nodes):
        self.wanted.append(nodes)


class Room:
    """r1 on this node n1, linked to r2 on node n2."""

    def __init__(self, **fields):
        self.fields = fields
        self.kicked = []
        self.table = Table("n1", self.forgotten)
        self.store = MemoryStore()
        self.cache = TopologyCache(self.store, lambda _: None)
        self.parts = Parts(self.table, self.cache, Tunnel, Wire, Local, changed=lambda _: None, kick=self.kicked.append)
        self.parts.records["n2"] = record("tunnel", "wire")
        self.audience = Audience()
        self.box = sandbox("r1")
        self.end = end(self.box, "eth1", "r2:eth1", ifindex=1 << 20)
        enter(self.table, self.box)

    def forgotten(self, endpoint):
        self.parts.announcer.gone(endpoint)

    def driver(self, name="tunnel"):
        return self.parts.catalog.find(name)

    async def open(self):
        self.parts.announcer.begin(self.audience)
        await self.store.apply(topology("r1", link(1, "eth1", "r2:eth1", **self.fields)))
        await self.store.apply(topology("r2", link(1, "eth1", "r1:eth1")))
        await self.claim()
        self.cache.synced.set()
        await self.settle()
        await asyncio.sleep(0)  # then a session is wanted

    async def claim(self, **status):
        """Say where r2 runs."""
        status = {
            "node": "n2",
            "container_id": "c2",
            "epoch": 5,
            "links": [{"local_intf": "eth1", "receive_id": 77}],
        } | status
        await self.store.patch_status(Kind.TOPOLOGY, "default", "r2", status)
        for resource in (await self.store.list(Kind.TOPOLOGY)).items:
            self.cache.take(resource)

    async def settle(self):
        return await self.parts.settler.settle(HERE)

    def hear(self, state=GOOD, *, contact=Contact.LIVE, node="n2"):
        self.parts.remotes.contact(node, contact, "")
        self.parts.remotes.heard(node, {THERE: state}, whole=True)

    def contact(self, contact):
        self.parts.remotes.contact("n2", contact, "")

    @property
    def carrier(self):
        return self.end.port.up

    @property
    def state(self):
        return link_state(self.end, self.parts.carrier.other(self.end))[:2]


def record(*drivers):
    facts = {name: DriverFacts(name, offer={"port": 1}) for name in drivers}
    return NodeRecord("n2", default_driver="tunnel", drivers=facts)


def in_room(main, **fields):
    async def body():
        room = Room(**fields)
        await room.open()
        await main(room)

    run(body())


def test_the_driver_is_told_where_the_peer_is():
    async def main(room):
        _, told, peer = room.driver().calls[-1]
        assert (told.epoch, told.receive_id) == (1, 1)
        assert (peer.node, peer.port, peer.epoch, peer.receive_id, peer.offer) == ("n2", None, 5, 77, {})
        assert peer.node_offer == {"port": 1}

        room.hear(attrs.evolve(GOOD, offer={"theirs": 1}))
        assert room.kicked == [HERE]
        await room.settle()
        assert room.driver().calls[-1][2].offer == {"theirs": 1}

    in_room(main)


def test_a_driver_is_not_asked_again_for_what_the_claim_has_told_already():
    async def main(room):
        room.hear(attrs.evolve(GOOD, receive_id=77))
        assert (room.kicked, room.carrier) == ([], True)

        room.parts.records["n2"] = attrs.evolve(record("tunnel"), drivers={})
        room.hear(attrs.evolve(GOOD, receive_id=78))
        assert room.kicked == [HERE]

    in_room(main)


def test_no_session_no_carrier():
    async def main(room):
        assert room.state == ("Pending", "PeerUnreachable")
        assert not room.carrier
        room.contact(Contact.LIVE)
        assert room.state == ("Pending", "PeerNotPatched")

    in_room(main)


@pytest.mark.parametrize(
    ("told", "up", "state"),
    [
        ({}, True, ("Up", "")),
        ({"up": False}, False, ("Up", "")),
        ({"epoch": 4}, False, ("Pending", "PeerNotPatched")),
        ({"driver": "wire"}, False, ("Pending", "PeerNotPatched")),
        ({"driver": "", "patched": None, "patched_epoch": 0}, False, ("Pending", "PeerNotPatched")),
        ({"patched_epoch": 2}, False, ("Pending", "PeerNotPatched")),
        ({"patched": Endpoint("other", "r1", "eth1")}, False, ("Pending", "PeerNotPatched")),
        ({"reason": "PortTaken"}, False, ("Pending", "PeerNotPatched")),
    ],
)
def test_carrier_is_what_the_other_side_says(told, up, state):
    async def main(room):
        room.hear(attrs.evolve(GOOD, **told))
        assert (room.carrier, room.state) == (up, state)
        room.hear(GOOD)
        assert room.carrier
        room.hear(attrs.evolve(GOOD, **told))
        assert room.carrier is up
        room.hear(None)
        assert not room.carrier

    in_room(main)


def test_reason_that_the_other_side_gives_is_told_in_a_short_line_whatever_it_is():
    async def main(room):
        room.hear(attrs.evolve(GOOD, reason="PortTaken\n\x1b[2J" + "x" * 500_000))
        _, _, message = link_state(room.end, room.parts.remotes.far(room.end))
        assert message.startswith(r"the peer's end on node n2 says PortTaken \x1b[2Jxx")
        assert len(message) < 200

    in_room(main)


def test_what_is_told_of_many_ends_is_looked_up_once_for_each(monkeypatch):
    """KNE#717: two pods with 1500 links held both daemons up for seconds."""
    looked, numbers = [], range(1, 101)
    find = Table.end

    async def main(room):
        for number in numbers:
            room.table.enter(end(room.box, f"e{number}", f"r2:e{number}", ifindex=(1 << 20) + 1 + number))
        await room.store.apply(topology("r1", *(link(number, f"e{number}", f"r2:e{number}") for number in numbers)))
        await room.store.apply(topology("r2", *(link(number, f"e{number}", f"r1:e{number}") for number in numbers)))
        await room.claim()
        for each in room.table.ends():
            await room.parts.settler.settle(each.endpoint)
        room.kicked.clear()
        looked.clear()
        states = {Endpoint("default", "r2", f"e{number}"): EndState(5, receive_id=number) for number in numbers}
        room.parts.remotes.heard("n2", states, whole=True)
        assert len(room.kicked) == 100
        assert len(looked) <= 3 * 100

    monkeypatch.setattr(Table, "end", lambda table, endpoint: looked.append(endpoint) or find(table, endpoint))
    in_room(main)


def test_what_another_node_says_of_the_peer_is_nothing():
    async def main(room):
        room.hear(GOOD, node="n3")
        room.contact(Contact.LIVE)
        assert not room.carrier

    in_room(main)


def test_unplugged_it_is_down():
    async def main(room):
        room.hear()
        assert (room.carrier, room.state) == (False, ("Down", "Unplugged"))

    in_room(main, down=True)


@pytest.mark.parametrize(
    ("driver", "contact", "kept"),
    [
        ("tunnel", Contact.AWAY, True),
        ("tunnel", Contact.LAPSED, True),
        ("tunnel", Contact.INCOMPATIBLE, True),
        ("wire", Contact.INCOMPATIBLE, False),
        ("tunnel", Contact.DEAD, False),
        ("wire", Contact.AWAY, True),
        ("wire", Contact.LAPSED, False),
        ("wire", Contact.DEAD, False),
    ],
)
def test_while_the_daemon_there_is_away_carrier_stays_where_the_kernel_forwards(driver, contact, kept):
    async def main(room):
        room.hear(attrs.evolve(GOOD, driver=driver))
        assert room.carrier
        room.contact(contact)
        assert room.carrier is kept
        if not kept:
            reasons = {Contact.DEAD: "NodeLost", Contact.INCOMPATIBLE: "PeerVersion"}
            assert room.state == ("Failed", reasons.get(contact, "PeerUnreachable"))
        await room.settle()
        assert room.carrier is kept
        room.contact(Contact.LIVE)
        assert room.carrier

    in_room(main, driver=driver)


@pytest.mark.parametrize(
    ("contact", "reason"),
    [
        (Contact.SEEKING, "PeerUnreachable"),
        (Contact.AWAY, "PeerUnreachable"),
        (Contact.LAPSED, "PeerUnreachable"),
        (Contact.INCOMPATIBLE, "PeerVersion"),
        (Contact.DEAD, "NodeLost"),
        (Contact.LIVE, "StreamLost"),
    ],
)
def test_a_path_that_fails_with_the_daemon_there_says_so_of_the_daemon(contact, reason):
    async def main(room):
        room.hear()
        room.contact(contact)
        room.parts.settler.path_changed(room.end, "StreamLost", by="tunnel")
        assert room.state == ("Failed", reason)
        room.end.fail("KernelRefused", "out of memory")
        assert room.state == ("Failed", "KernelRefused")

    in_room(main)


def test_what_had_no_carrier_gets_none_while_the_daemon_is_away():
    async def main(room):
        room.hear(attrs.evolve(GOOD, up=False))
        room.contact(Contact.AWAY)
        room.parts.remotes.heard("n2", {THERE: GOOD}, whole=True)
        assert not room.carrier

    in_room(main)


def test_a_peer_that_came_anew_meanwhile_is_not_the_one_that_was():
    async def main(room):
        room.hear()
        room.contact(Contact.AWAY)
        await room.claim(epoch=6)
        await room.settle()
        assert not room.carrier

    in_room(main)


def test_a_daemon_that_starts_keeps_the_carrier_that_it_finds():
    async def main(room):
        room.hear()
        again = Room()
        again.end.port.up, again.end.adopted, again.end.plan = True, True, None
        again.end.joint, again.end.confirmed = room.end.joint, True
        again.parts.carrier.update(again.end)
        assert again.carrier
        await again.open()
        assert again.carrier
        again.contact(Contact.DEAD)
        assert not again.carrier

    in_room(main)


def test_the_other_node_is_told_of_this_end():
    async def main(room):
        told = EndState(1, "tunnel", THERE, 5, up=True, receive_id=1, offer={"mine": str(HERE)})
        assert room.audience.told[-1] == ("n2", HERE, told)
        await asyncio.sleep(0)
        assert room.audience.wanted[-1] == {"n2"}
        assert room.parts.announcer.states_for("n2") == {HERE: told}
        assert room.parts.announcer.states_for("n3") == {}

        room.end.pod_up = False
        room.parts.carrier.update(room.end)
        assert room.audience.told[-1][2] == attrs.evolve(told, up=False)
        count = len(room.audience.told)
        room.end.outstanding = "until the pod is restarted its interface has MTU 1500 instead of 1400"
        room.parts.carrier.update(room.end)
        assert len(room.audience.told) == count

        room.table.remove(room.box)
        assert room.audience.told[-1] == ("n2", HERE, None)
        await asyncio.sleep(0)
        assert room.audience.wanted[-1] == set()

    in_room(main)


def test_what_a_driver_changes_in_an_offer_that_it_keeps_is_told():
    async def main(room):
        for number in (1, 2):
            room.driver().offered["more"] = {"number": number}
            await room.settle()
            assert [state.offer for _, _, state in room.audience.told[number:]] == [
                {"mine": str(HERE), "more": {"number": number}}
            ]

    in_room(main)


def test_a_node_that_finds_the_other_dead_tells_it_so_while_it_does():
    """One that hears and is not heard, as through a firewall that lets one direction pass, shall not keep carrier."""

    async def main(room):
        room.hear()
        for contact, reason in ((Contact.DEAD, "NodeLost"), (Contact.AWAY, ""), (Contact.DEAD, "NodeLost")):
            room.contact(contact)
            assert room.audience.told[-1][:2] == ("n2", HERE)
            assert room.audience.told[-1][2].reason == reason
        room.hear()
        assert room.audience.told[-1][2].reason == ""
        assert room.carrier

    in_room(main)


def test_when_the_peer_moves_the_old_node_is_told_that_it_is_over():
    async def main(room):
        room.hear()
        room.parts.records["n3"] = attrs.evolve(record("tunnel"), name="n3")
        await room.claim(node="n3", epoch=6, container_id="c3")
        await room.settle()
        await asyncio.sleep(0)
        assert not room.carrier
        assert ("n2", HERE, None) in room.audience.told
        assert room.audience.told[-1][0] == "n3"
        room.hear(attrs.evolve(GOOD, epoch=6), node="n3")
        assert room.carrier

    in_room(main)


def test_another_driver_takes_the_place_before_the_first_goes():
    async def main(room):
        room.hear()
        await room.store.patch(
            Kind.TOPOLOGY, "default", "r1", {"spec": {"links": [link(1, "eth1", "r2:eth1", driver="wire")]}}
        )
        await room.claim()
        await room.settle()
        assert [call[0] for call in room.driver("wire").calls] == ["patch"]
        assert [call[0] for call in room.driver().calls] == ["patch", "unpatch"]
        assert (room.end.patched_by, room.end.splice) == ("wire", Socket())
        assert not room.carrier

    in_room(main)


def test_when_the_other_driver_fails_nothing_of_the_first_stays():
    async def main(room):
        room.hear()
        room.driver("wire").error = LinkError("NoLuck", "not today")
        await room.store.patch(
            Kind.TOPOLOGY, "default", "r1", {"spec": {"links": [link(1, "eth1", "r2:eth1", driver="wire")]}}
        )
        await room.claim()
        await room.settle()
        assert [call[0] for call in room.driver().calls] == ["patch", "unpatch"]
        assert room.state == ("Failed", "NoLuck")
        assert not room.carrier

    in_room(main)


def test_an_old_sandbox_that_waits_for_its_del_is_not_the_peer():
    """r2 ran here, and runs on n2 now; its old sandbox is still there."""

    async def main(room):
        old = sandbox("r2", epoch=4)
        end(old, "eth1", "r1:eth1", ifindex=(1 << 20) + 1)
        enter(room.table, old)
        await room.settle()
        assert room.end.plan.node == "n2"
        assert room.driver("local").calls == []

    in_room(main)


def test_a_node_that_has_not_told_of_itself_is_waited_for():
    async def main(room):
        del room.parts.records["n2"]
        await room.settle()
        assert room.state == ("Pending", "NodeUnknown")

    in_room(main)


def test_who_waits_for_the_peer_goes_on_when_it_is_patched():
    async def main(room):
        waiting = asyncio.create_task(room.parts.remotes.patched(room.end, "tunnel", limit_s=5))
        await asyncio.sleep(1)
        room.hear(attrs.evolve(GOOD, patched_epoch=9))
        await asyncio.sleep(1)
        assert not waiting.done()
        room.hear(GOOD)
        await waiting

        room.hear(None)
        with pytest.raises(TimeoutError):
            await room.parts.remotes.patched(room.end, "tunnel", limit_s=5)

    in_room(main)


def test_an_identifier_comes_by_the_session_before_it_is_in_the_status():
    """Each end waits for the other's: what is told must not wait for the patch."""

    async def main(room):
        await room.claim(links=[])
        room.driver().error = LinkError("PeerOfferMissing", "not told yet")
        await room.settle()
        assert room.driver().calls[-1][2].receive_id == 0
        assert room.audience.told[-1][2].receive_id == 1
        room.kicked.clear()
        room.hear(EndState(5, receive_id=99))
        assert room.kicked == [HERE]
        room.driver().error = None
        await room.settle()
        assert room.driver().calls[-1][2].receive_id == 99

    in_room(main)


def test_what_is_not_told_at_a_reconnect_is_not_there():
    async def main(room):
        room.hear()
        assert room.carrier
        room.contact(Contact.AWAY)
        assert room.carrier
        room.parts.remotes.heard("n2", {}, whole=True)
        room.contact(Contact.LIVE)
        assert not room.carrier

    in_room(main)


def test_what_another_node_that_is_listened_to_says_of_an_end_is_nothing():
    async def main(room):
        room.parts.remotes.lead_to(frozenset({"n2", "n3"}))
        room.parts.remotes.heard("n3", {THERE: GOOD}, whole=True)
        room.contact(Contact.LIVE)
        await room.settle()
        assert not room.carrier

    in_room(main)
