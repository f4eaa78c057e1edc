"""What is written as a status, by whom alone, and what others are told of it."""

from __future__ import annotations

import asyncio

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.reconcile.publish import PAUSE_S
from tests.reconcile.made import NotingStore, enter, link, sandbox, topology
from tests.reconcile.test_publish import SOON_S, Room, settled
from tests.virtual_time import run


def test_a_claim_that_cannot_be_written_says_so() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        room.store.error = StoreUnavailable("away")
        with pytest.raises(StoreUnavailable):
            await room.add()

    run(main())


def test_a_pod_without_a_topology_is_claimed_by_nobody() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        assert not await room.publisher.claim(room.r1)
        await room.publisher.clear(room.r1)
        assert room.store.writes == []

    run(main())


def test_somebody_elses_edit_between_is_no_loss() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        before = await settled(room)
        # the cache has not heard of it yet: the write meets a conflict, reads again, and writes
        await room.store.patch(Kind.TOPOLOGY, "default", "r1", {"metadata": {"labels": {"x": "y"}}})
        room.fail(1)
        await asyncio.sleep(PAUSE_S * 2)
        assert len(room.times(before)) == 1
        stored = await room.store.get(Kind.TOPOLOGY, "default", "r1")
        assert stored.metadata["labels"] == {"x": "y"}
        assert stored.status["links"][0]["message"] == "number 1"

    run(main())


def test_the_newer_claim_owns_the_pod_and_the_older_writes_nothing() -> None:
    async def main() -> None:
        store = NotingStore()
        here, there = Room(store, "n1"), Room(store, "n2")
        await here.add()
        await there.add()
        status = await here.status()
        assert (status["node"], status["epoch"], there.r1.epoch) == ("n2", 2, 2)
        await asyncio.sleep(SOON_S)
        before = len(store.writes)

        for _ in range(3):
            here.fail(1)
            await asyncio.sleep(PAUSE_S * 2)
        here.table.remove(here.r1)
        await here.publisher.clear(here.r1)
        await here.publisher.clear_absent()

        assert len(store.writes) == before
        assert (await here.status())["node"] == "n2"

        # and the first may take it back, with a higher epoch
        here.table.add(here.r1)
        assert await here.publisher.claim(here.r1)
        status = await here.status()
        assert (status["node"], status["epoch"]) == ("n1", 3)
        await here.publisher.flush()

    run(main())


def test_claims_at_once_end_with_one_owner() -> None:
    async def main() -> None:
        store = NotingStore()
        rooms = [Room(store, f"n{number}") for number in range(5)]
        await store.apply(topology("r1", link(1, "eth1", "r2:eth1")))
        for room in rooms:
            enter(room.table, room.r1)
        await asyncio.gather(*(room.publisher.claim(room.r1) for room in rooms))
        epochs = sorted(room.r1.epoch for room in rooms)
        assert epochs == [1, 2, 3, 4, 5]
        status = await rooms[0].status()
        (owner,) = [room for room in rooms if room.r1.epoch == status["epoch"]]
        assert status["node"] == owner.node
        assert status["epoch"] == 5

    run(main())


def test_absent_pods_are_cleared_and_those_of_others_are_not() -> None:
    async def main() -> None:
        store = NotingStore()
        here, there = Room(store, "n1"), Room(store, "n2")
        await here.add()
        await store.apply(topology("x", link(3, "eth1", "r1:eth9")))
        other = sandbox("x", epoch=0)
        there.table.add(other)
        await there.publisher.claim(other)
        # a daemon that restarted and finds r1 gone
        again = Room(store, "n1")
        again.table.add(again.r2)
        for name in ("r1", "r2", "x"):
            await again.cache.reread(("default", name))

        await again.publisher.clear_absent()

        assert "node" not in await here.status("r1")
        assert (await here.status("r2"))["node"] == "n1"
        assert (await here.status("x"))["node"] == "n2"

    run(main())


def test_a_pod_whose_clearing_is_refused_keeps_no_other_uncleared() -> None:
    async def main() -> None:
        store = NotingStore()
        here = Room(store, "n1")
        await here.add()
        again = Room(store, "n1")  # a daemon that restarted and finds neither
        for name in ("r1", "r2"):
            await again.cache.reread(("default", name))
        store.refused = "r1"

        await again.publisher.clear_absent()

        assert (await here.status("r1"))["node"] == "n1"
        assert "node" not in await here.status("r2")
        store.refused = ""
        await again.publisher.clear_absent()
        assert "node" not in await here.status("r1")

    run(main())


def test_each_failure_is_told_once() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        await settled(room)
        for message in (1, 1, 2, 2):
            room.fail(message)
            await asyncio.sleep(PAUSE_S * 2)
            room.publisher.changed(room.r1)
            await asyncio.sleep(PAUSE_S * 2)
        events = await room.store.events()
        assert [(event.type, event.reason, event.count) for event in events] == [("Warning", "KernelRefused", 1)] * 2
        assert events[0].message == "link 1 (eth1): number 1"
        assert events[0].source == "meshnetd n1"

    run(main())


def test_a_failure_is_told_though_the_answer_to_its_writing_was_lost() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        await settled(room)
        room.store.lost = StoreUnavailable("no answer")
        room.fail(1)
        await asyncio.sleep(PAUSE_S * 4)
        room.fail(2)
        await asyncio.sleep(PAUSE_S * 2)
        events = await room.store.events()
        assert [(event.message[-1], event.count) for event in events] == [("1", 1), ("2", 1)]

    run(main())


def test_what_is_written_is_whole() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        await settled(room)
        stored = await room.store.get(Kind.TOPOLOGY, "default", "r1")
        (row,) = stored.status["links"]
        assert (row["local_intf"], row["peer_pod"], row["peer_intf"], row["uid"]) == ("eth1", "r2", "eth1", 1)
        assert (row["state"], row["reason"]) == ("Up", "")
        assert stored.status["observedGeneration"] == stored.generation
        assert stored.status["conditions"][0]["observedGeneration"] == stored.generation

    run(main())
