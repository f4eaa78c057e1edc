"""Links to another node: what was known of one peer, session or driver does not outlive it."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from meshnet.model.resource import Kind
from meshnet.netlink.tc import Redirect
from meshnet.reconcile.end import Joint
from tests.reconcile.made import link
from tests.reconcile.test_far import GOOD, HERE, THERE, in_room


@pytest.mark.parametrize("moved", [{"epoch": 6}, {"epoch": 6, "node": "n3", "container_id": "c3"}])
def test_what_the_driver_said_of_the_path_to_a_peer_does_not_hold_for_the_next(moved):
    """A node was lost, its path with it; its pod came again, there or elsewhere, and its driver has nothing to say."""

    async def main(room):
        room.parts.records["n3"] = attrs.evolve(room.parts.records["n2"], name="n3")
        room.hear()
        room.parts.settler.path_changed(room.end, "StreamLost", by=room.end.patched_by)
        assert room.state == ("Failed", "StreamLost")
        await room.claim(**moved)
        await room.settle()
        await asyncio.sleep(0)
        room.hear(attrs.evolve(GOOD, epoch=6), node=room.end.plan.node)
        assert room.state == ("Up", "")
        assert room.carrier

    in_room(main)


def test_what_the_driver_said_of_the_path_holds_while_the_patch_is_the_same():
    async def main(room):
        room.hear()
        room.parts.settler.path_changed(room.end, "StreamLost", by=room.end.patched_by)
        await room.settle()
        assert room.state == ("Failed", "StreamLost")

    in_room(main)


def test_an_earlier_session_says_nothing_of_a_link_that_came_later():
    """The only link to a node went, and with it the session; another may come when that node is long gone."""

    async def main(room):
        room.hear()
        assert room.carrier
        await room.store.patch(Kind.TOPOLOGY, "default", "r1", {"spec": {"links": []}})
        await room.claim()
        await room.settle()
        assert not room.carrier
        await asyncio.sleep(0)
        assert room.audience.wanted[-1] == set()
        room.hear()  # on its way when the session was ended

        await room.store.patch(Kind.TOPOLOGY, "default", "r1", {"spec": {"links": [link(1, "eth1", "r2:eth1")]}})
        await room.claim()
        await room.settle()
        await asyncio.sleep(0)
        assert room.audience.wanted[-1] == {"n2"}
        assert not room.carrier
        assert room.state == ("Pending", "PeerUnreachable")
        room.hear()
        assert room.carrier

    in_room(main)


def test_who_waits_for_the_peer_waits_until_it_is_patched_by_the_same_driver():
    async def main(room):
        room.hear(attrs.evolve(GOOD, driver="wire"))
        waiting = asyncio.create_task(room.parts.remotes.patched(room.end, "tunnel", limit_s=5))
        await asyncio.sleep(1)
        assert not waiting.done()
        room.hear(GOOD)
        await waiting

    in_room(main)


def test_an_unplugged_link_loses_carrier_before_its_driver_is_asked():
    async def main(room):
        room.hear()
        assert room.carrier
        driver = room.driver()
        entered, go_on = asyncio.Event(), asyncio.Event()
        patch = driver.patch

        async def slow(told, peer):
            entered.set()
            await go_on.wait()
            return await patch(told, peer)

        driver.patch = slow
        await room.store.patch(
            Kind.TOPOLOGY, "default", "r1", {"spec": {"links": [link(1, "eth1", "r2:eth1", down=True)]}}
        )
        await room.claim()
        settling = asyncio.create_task(room.settle())
        await entered.wait()
        assert not room.carrier
        go_on.set()
        await settling
        assert room.state == ("Down", "Unplugged")

    in_room(main)


def test_an_end_that_went_while_it_was_settled_takes_no_identifier():
    """What comes after its identifier was given back would hold it until the daemon's next start."""

    async def main(room):
        allocated = []

        async def gone(end, plan):
            room.table.remove(room.box)

        room.parts.furnisher.apply = gone
        room.parts.identifiers.allocate = lambda pool, endpoint: allocated.append(endpoint) or 1
        count = len(room.driver().calls)
        await room.settle()
        assert allocated == []
        assert [call[0] for call in room.driver().calls[count:]] in ([], ["unpatch"])
        assert room.table.end(HERE) is None

    in_room(main)


@pytest.mark.parametrize(("redirect", "kept"), [(Redirect("mirred", 9), True), (None, False)])
def test_without_a_store_a_daemon_that_started_lets_go_of_what_it_would_have_to_forward(redirect, kept):
    """What the kernel forwards it forwards on; of the rest nobody knows where it leads."""

    async def main(room):
        room.end.adopted, room.end.plan = True, None
        room.end.port.up, room.end.port.redirect = True, redirect
        room.end.joint, room.end.confirmed = Joint(THERE, 5), True
        room.parts.carrier.lapse()
        assert room.carrier is kept
        room.parts.carrier.update(room.end)
        assert room.carrier is kept

        await room.settle()
        await asyncio.sleep(0)
        assert room.carrier is kept
        room.hear()
        assert room.carrier

    in_room(main)
