"""Claims and removals that overlap, and what must not be written over and over."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

import attrs

from meshnet.model.resource import Kind
from meshnet.reconcile.end import Joint
from meshnet.reconcile.publish import PAUSE_S
from tests.reconcile.desk import Desk
from tests.reconcile.made import NotingStore, end, link, sandbox, topology
from tests.virtual_time import run

if TYPE_CHECKING:
    import pytest

R1 = ("default", "r1")


async def opened() -> Desk:
    """Return a desk that knows a Topology r1."""
    desk = Desk(NotingStore())
    await desk.store.apply(topology("r1", link(1, "eth1", "localhost:eth0")))
    await desk.cache.reread(R1)
    return desk


def test_a_claim_that_lands_after_the_removal_is_taken_back() -> None:
    async def main() -> None:
        desk = await opened()
        desk.store.lasts_s = 1.0
        box = sandbox("r1", epoch=0)
        desk.table.add(box)
        claim = asyncio.create_task(desk.publisher.claim(box))
        await asyncio.sleep(0.5)
        desk.table.remove(box)
        await desk.publisher.clear(box)
        await claim
        status = await desk.status()
        assert "node" not in status
        assert status["epoch"] == 1

    run(main())


def test_what_changes_while_a_claim_is_on_its_way_is_written_after_it() -> None:
    async def main() -> None:
        desk = await opened()
        desk.store.lasts_s = 1.0
        box = sandbox("r1", epoch=0)
        made = end(box, "eth1", "r2:eth1")
        assert made.plan is not None
        made.plan = attrs.evolve(made.plan, peer=None)
        desk.table.add(box)
        claim = asyncio.create_task(desk.publisher.claim(box))
        await asyncio.sleep(0.5)
        made.joint = Joint(None, 0)
        desk.publisher.changed(box)
        await claim
        assert (await desk.status())["conditions"][0]["status"] == "False"

        await asyncio.sleep(2 * desk.store.lasts_s)

        assert (await desk.status())["conditions"][0]["status"] == "True"

    run(main())


def test_a_sandbox_that_is_removed_before_its_claim_claims_nothing() -> None:
    async def main() -> None:
        desk = await opened()
        assert not await desk.publisher.claim(sandbox("r1"))
        assert await desk.status() == {}

    run(main())


def test_an_invalid_topology_is_not_written_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshnet.reconcile.status.time.time", itertools.count(0.0, 60.0).__next__)

    async def main() -> None:
        desk = await opened()
        box = sandbox("r1", epoch=0)
        made = end(box, "eth1", "r2:eth1")
        assert made.plan is not None
        made.plan = attrs.evolve(made.plan, peer=None)
        made.joint = Joint(None, 0)
        desk.table.add(box)
        await desk.publisher.claim(box)
        desk.cache.take(await desk.store.patch(Kind.TOPOLOGY, *R1, {"spec": {"links": [{"uid": "x"}]}}))
        for _ in range(3):
            desk.publisher.changed(box)
            await asyncio.sleep(PAUSE_S * 3)
        assert (await desk.status())["conditions"][0]["reason"] == "InvalidTopology"
        assert len(desk.store.writes) == 2

    run(main())


def test_a_topology_that_was_invalid_at_the_start_is_said_to_be_so() -> None:
    """Whatever its status said when the daemon before saw it valid."""

    async def main() -> None:
        desk = await opened()
        box = sandbox("r1", epoch=0)
        desk.table.add(box)
        await desk.publisher.claim(box)
        await desk.store.patch(Kind.TOPOLOGY, *R1, {"spec": {"links": [{"uid": "x"}]}})
        desk.cache.drop(R1)  # as in a daemon that starts
        end(box, "eth1", "r2:eth1").plan = None
        await desk.cache.reread(R1)

        desk.publisher.changed(box)
        await asyncio.sleep(PAUSE_S * 3)

        status = await desk.status()
        assert status["conditions"][0]["reason"] == "InvalidTopology"
        assert [(row["local_intf"], row["state"], row["reason"]) for row in status["links"]] == [
            ("eth1", "Failed", "TopologyMissing")
        ]
        assert status["links_ready"] == "0/1"

    run(main())
