"""When a status is written, in virtual time, on a real store."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import weakref
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.publish import PAUSE_S, Publisher
from meshnet.reconcile.table import Table
from tests.reconcile.fakes import Identifiers
from tests.reconcile.made import NotingStore, end, enter, join, link, sandbox, topology
from tests.reconcile.parts import keeper
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.reconcile.state import End, Sandbox

SOON_S = 0.5
"""Longer than changes are collected for, shorter than any pause."""


class Room:
    """A node with the pods r1 and r2, linked, both added; and how to change them."""

    def __init__(self, store: NotingStore, node: str = "n1") -> None:
        self.store = store
        self.table = Table()
        self.cache = TopologyCache(store, lambda key: None)
        self.publisher = Publisher(
            store,
            self.cache,
            self.table,
            carrier=keeper(self.table),
            identifiers=cast("Any", Identifiers()),
            node=node,
            node_ip="192.0.2.1",
        )
        self.r1 = sandbox("r1", epoch=0)
        self.r2 = sandbox("r2", epoch=0)
        self.e1 = end(self.r1, "eth1", "r2:eth1", ifindex=1)
        self.e2 = end(self.r2, "eth1", "r1:eth1", ifindex=2)

    async def add(self, *, joined: bool = True) -> None:
        await self.store.apply(topology("r1", link(1, "eth1", "r2:eth1")))
        await self.store.apply(topology("r2", link(1, "eth1", "r1:eth1")))
        enter(self.table, self.r1, self.r2)
        for box in (self.r1, self.r2):
            assert await self.publisher.claim(box)
        if joined:
            join(self.e1, self.e2)

    async def status(self, name: str = "r1") -> Mapping[str, Any]:
        return (await self.store.get(Kind.TOPOLOGY, "default", name)).status

    def fail(self, number: int) -> None:
        """Let r1's link be down for a reason of its own."""
        self.e1.fail("KernelRefused", f"number {number}")
        self.publisher.changed(self.r1)

    def mend(self) -> None:
        self.e1.fail("", "")
        self.publisher.changed(self.r1)

    def times(self, since: int = 0) -> list[float]:
        """When r1's status was written, from its first change on."""
        return [write.at for write in self.store.writes[since:] if write.name == "r1"]


async def settled(room: Room) -> int:
    """Add both pods and have their links up and written; return how many writes that were."""
    await room.add()
    room.publisher.changed(room.r1)
    room.publisher.changed(room.r2)
    await asyncio.sleep(PAUSE_S * 2)
    return len(room.store.writes)


def test_add_and_del_write_at_once() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        await room.add(joined=False)
        status = await room.status()
        assert (status["node"], status["container_id"], status["epoch"]) == ("n1", "c-r1", 1)
        assert (status["src_ip"], status["net_ns"]) == ("192.0.2.1", "/run/netns/c-r1")
        assert status["conditions"][0]["status"] == "False"

        room.table.remove(room.r1)
        await room.publisher.clear(room.r1)
        status = await room.status()
        assert not {"node", "container_id", "src_ip", "net_ns", "links"} & status.keys()
        assert status["epoch"] == 1
        assert status["conditions"][0]["reason"] == "PodNotRunning"
        assert {write.at for write in room.store.writes} == {asyncio.get_running_loop().time()}

    run(main())


def test_all_up_is_written_at_once_and_only_once() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        await room.add()
        before = len(room.store.writes)
        for _ in range(10):
            room.publisher.changed(room.r1)
            await asyncio.sleep(0)
        await asyncio.sleep(SOON_S)
        assert len(room.times(before)) == 1
        assert (await room.status())["conditions"][0]["status"] == "True"
        await asyncio.sleep(60)
        assert len(room.times(before)) == 1

    run(main())


def test_what_is_not_up_waits_five_seconds_from_the_first_change() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        before = await settled(room)
        start = asyncio.get_running_loop().time()
        for number in range(4):
            room.fail(number)
            await asyncio.sleep(1)
        await asyncio.sleep(60)
        (at,) = room.times(before)
        assert at - start == pytest.approx(PAUSE_S, abs=0.1)
        assert (await room.status())["links"][0]["message"] == "number 3"

    run(main())


def test_never_two_within_five_seconds() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        before = await settled(room)
        for number in range(200):
            room.fail(number) if number % 3 else room.mend()
            await asyncio.sleep(0.37)
        room.mend()
        await asyncio.sleep(60)
        times = room.times(before)
        pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert len(times) > 5
        assert min(pauses) >= PAUSE_S - 0.001
        assert (await room.status())["conditions"][0]["status"] == "True"

    run(main())


def test_a_change_and_back_is_not_written() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        before = await settled(room)
        room.fail(1)
        await asyncio.sleep(1)
        room.mend()
        await asyncio.sleep(60)
        assert room.times(before) == []

    run(main())


def test_a_change_during_a_write_is_written_after_it() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        before = await settled(room)
        room.store.lasts_s = 3
        room.fail(1)
        await asyncio.sleep(PAUSE_S + 1)
        assert len(room.times(before)) == 1
        room.fail(2)
        await asyncio.sleep(60)
        assert (await room.status())["links"][0]["message"] == "number 2"
        first, second = room.times(before)
        assert second - first >= PAUSE_S

    run(main())


def test_a_store_that_is_away_is_tried_again() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        before = await settled(room)
        room.store.error = StoreUnavailable("away")
        room.fail(1)
        await asyncio.sleep(30)
        assert room.times(before) == []
        room.store.error = None
        await asyncio.sleep(30)
        assert len(room.times(before)) == 1

    run(main())


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


def test_a_pod_without_a_topology_costs_the_store_nothing_while_it_runs() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        enter(room.table, room.r1)
        for _ in range(3):
            room.publisher.changed(room.r1)  # as every pass does
            await asyncio.sleep(60)
        assert room.store.asked == 0

    run(main())


def test_flush_writes_what_waits_and_close_forgets_it() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        before = await settled(room)
        room.fail(1)
        await room.publisher.flush()
        assert len(room.times(before)) == 1
        room.fail(2)
        room.publisher.close()
        await asyncio.sleep(60)
        assert len(room.times(before)) == 1

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
        assert status["node"] == owner.publisher._node
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
        events = await room.store.events("Topology default/r1")
        assert [(event.type, event.reason, event.count) for event in events] == [("Warning", "KernelRefused", 1)] * 2
        assert events[0].message == "link 1 (eth1): number 1"
        assert events[0].source == "meshnetd n1"

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


def test_a_sandbox_that_is_gone_is_forgotten() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        await settled(room)
        room.store.lasts_s = 1
        room.fail(1)
        await asyncio.sleep(PAUSE_S + 0.5)
        await remove(room, room.r1, room.e1)
        gone = weakref.ref(room.r1)
        del room.r1, room.e1
        await asyncio.sleep(PAUSE_S * 4)
        gc.collect()
        assert gone() is None

    run(main())


async def remove(room: Room, box: Sandbox, its: End) -> None:
    room.table.remove(box)
    with contextlib.suppress(StoreUnavailable):
        await room.publisher.clear(box)
    # a worker that was at it may still tell
    room.publisher.changed(box)
    its.joint = None
