"""Whose a pod is when its Topology was made anew, and with it the count of epochs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.model.resource import Kind
from meshnet.model.topology import Claim, Topology
from meshnet.reconcile.adopt import adopt
from meshnet.reconcile.owner import count_on, learn, superseded, unclaimed
from meshnet.reconcile.table import Table
from tests.reconcile.made import NotingStore, link, topology
from tests.reconcile.made import sandbox as closed
from tests.reconcile.room import R1, room, sandbox
from tests.reconcile.test_publish import Room as Publishing
from tests.virtual_time import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.reconcile.room import Room

FAR = {"node": "n2", "container_id": "c-far"}


def of(uid: str, claim: Claim) -> Topology:
    return Topology(namespace="default", name="r1", links=(), uid=uid, claim=claim)


def judged(claimed: str | None, claim: Claim) -> tuple[bool, bool]:
    """Whether a sandbox of n1 with epoch 3 counts as superseded by a claim on Topology u2, and the pod as unclaimed."""
    box = closed("r1", "c1", epoch=3)
    box.claimed = claimed
    return superseded(box, of("u2", claim), "n1"), unclaimed(box, of("u2", claim), "n1")


@pytest.mark.parametrize("claimed", ["u2", None], ids=["known", "unknown"])
@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (Claim(), (False, True)),
        (Claim(epoch=3), (False, True)),
        (Claim(epoch=4), (True, False)),
        (Claim("n1", "c1", 3), (False, False)),
        (Claim("n1", "c1", 2), (False, True)),
        (Claim("n1", "old", 2), (False, True)),
        (Claim("n2", "old", 2), (False, False)),
        (Claim("n2", "new", 4), (True, False)),
    ],
)
def test_of_one_topology_the_epochs_tell(claimed: str | None, claim: Claim, expected: tuple[bool, bool]) -> None:
    assert judged(claimed, claim) == expected


@pytest.mark.parametrize("claimed", ["", "u1"], ids=["none", "another"])
@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (Claim(), (False, True)),
        (Claim(epoch=4), (False, True)),
        (Claim("n1", "c1", 3), (False, True)),
        (Claim("n1", "other", 4), (False, True)),
        (Claim("n2", "other", 2), (True, False)),
        (Claim("n2", "other", 4), (True, False)),
    ],
)
def test_of_one_that_it_has_not_claimed_only_an_owner_tells(
    claimed: str, claim: Claim, expected: tuple[bool, bool]
) -> None:
    assert judged(claimed, claim) == expected


def test_what_a_checkpoint_does_not_tell_is_learned_from_an_own_claim() -> None:
    box = closed("r1", "c1")
    box.claimed = None
    assert not learn(box, of("u2", Claim("n2", "c2", 4)))
    assert learn(box, of("u2", Claim("n1", "c1", 4)))
    assert not learn(box, of("u3", Claim("n1", "c1", 4)))
    assert box.claimed == "u2"


def test_who_takes_over_comes_after_everyone() -> None:
    box = closed("r1", "c1", epoch=3)
    count_on(box, of("u2", Claim("n2", "c2", 7)))
    assert (box.epoch, box.claimed) == (8, "u2")
    count_on(box, of("u3", Claim()))
    assert (box.epoch, box.claimed) == (8, "u3")


async def status(here: Room) -> Any:
    return (await here.store.get(Kind.TOPOLOGY, *R1)).status


async def claimed_by_far(here: Room, epoch: int) -> None:
    """r1's Topology comes, and another node is the first to claim it."""
    await here.store.apply(topology("r1", link(1, "eth1", "x1:eth1")))
    await here.store.patch_status(Kind.TOPOLOGY, *R1, FAR | {"epoch": epoch})
    await asyncio.sleep(20)
    assert (await status(here))["node"] == "n2"


def test_an_older_sandbox_gives_way_to_the_owner_of_a_topology_made_anew(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1")
            await here.add(sandbox("r1"))
            old = sandbox("r1", "second")
            await here.add(old)
            await here.store.delete(Kind.TOPOLOGY, *R1)
            await claimed_by_far(here, epoch=1)

            assert old.epoch > 1
            assert old.ends["eth1"].why_not[0] == "Superseded"

    run(main())


def test_a_pod_that_another_sandbox_had_before_it_is_claimed_when_that_is_gone(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            new = sandbox("r1")
            await here.add(new)
            await claimed_by_far(here, epoch=3)
            assert new.ends["eth1"].why_not[0] == "Superseded"

            await here.store.patch_status(Kind.TOPOLOGY, *R1, {"node": None, "container_id": None})
            await asyncio.sleep(20)

            assert (await status(here))["container_id"] == new.key.container_id
            assert new.ends["eth1"].why_not[0] == "PeerMissing"
            (saved,) = here.saved()
            assert (saved.epoch, saved.claimed) == (4, (await here.store.get(Kind.TOPOLOGY, *R1)).uid)

    run(main())


def test_of_two_nodes_that_see_a_topology_come_the_first_has_the_pod_and_then_the_other() -> None:
    async def main() -> None:
        store = NotingStore()
        here, there = Publishing(store, "n1"), Publishing(store, "n2")
        await store.apply(topology("r1", link(1, "eth1", "r2:eth1")))
        for each, epoch in ((here, 3), (there, 0)):
            each.r1.epoch = epoch
            each.table.add(each.r1)

        claims = await asyncio.gather(*(each.publisher.claim(each.r1, over=False) for each in (here, there)))

        assert claims == [True, False]
        assert ((await here.status())["node"], there.r1.claimed) == ("n1", "")
        here.table.remove(here.r1)
        await here.publisher.clear(here.r1)
        await there.cache.reread(R1)
        assert unclaimed(there.r1, there.cache.topology(R1), "n2")
        assert await there.publisher.claim(there.r1, over=False)
        assert (await there.status())["node"] == "n2"

    run(main())


def test_what_an_older_daemon_wrote_is_completed_by_the_claim_that_stands(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1")
            box = sandbox("r1")
            await here.add(box)
            box.claimed = None
            here.sandboxes.topology_changed(R1)
            await asyncio.sleep(0.1)
            (saved,) = here.saved()
            assert saved.claimed == (await here.store.get(Kind.TOPOLOGY, *R1)).uid

    run(main())


def test_the_newest_of_a_pods_sandboxes_has_the_highest_epoch_also_without_a_topology(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1")
            first, second, third = (sandbox("r1", name) for name in ("a", "b", "c"))
            await here.add(first)
            await here.store.delete(Kind.TOPOLOGY, *R1)
            await asyncio.sleep(0.1)
            await here.add(second)
            await here.sandboxes.remove(second, why="DEL")
            await here.add(third)
            assert first.epoch < third.epoch

            table = Table("n1")
            adopt(table, here.saved(), [], lambda _: False)
            assert table.current(R1).key == third.key  # type: ignore[union-attr]

    run(main())
