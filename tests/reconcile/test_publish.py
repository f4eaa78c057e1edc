"""When a status is written, in virtual time, on a real store."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import weakref
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.reconcile.publish import PAUSE_S
from tests.reconcile.desk import Desk
from tests.reconcile.made import NotingStore, end, enter, join, link, sandbox, topology
from tests.virtual_time import run

if TYPE_CHECKING:
    from meshnet.reconcile.end import End
    from meshnet.reconcile.sandbox import Sandbox

SOON_S = 0.5
"""Longer than changes are collected for, shorter than any pause."""


class Room(Desk):
    """A node with the pods r1 and r2, linked, both added; and how to change them."""

    def __init__(self, store: NotingStore, node: str = "n1") -> None:
        super().__init__(store, node)
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


def test_one_that_went_while_the_answer_to_its_claim_was_lost_is_forgotten_too() -> None:
    async def main() -> None:
        room = Room(NotingStore())
        await room.store.apply(topology("r1", link(1, "eth1", "r2:eth1")))
        enter(room.table, room.r1)
        room.store.lasts_s = 1
        room.store.lost = StoreUnavailable("no answer")
        claim = asyncio.create_task(room.publisher.claim(room.r1))
        await asyncio.sleep(0.5)
        await remove(room, room.r1, room.e1)
        with pytest.raises(StoreUnavailable):
            await claim
        gone = weakref.ref(room.r1)
        del room.r1, room.e1, claim
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
