"""Pods that come and go while their Topologies are edited, drivers hang and the store is away."""

from __future__ import annotations

import asyncio
import errno
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshnet.driver.api import Device
from meshnet.driver.calls import GRACE_S
from meshnet.errors import InvalidObject, Problem, StoreError, StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.reconcile.end import Joint
from meshnet.reconcile.patch import CALL_LIMIT_S
from meshnet.stores.memory import MemoryStore
from tests.reconcile.fakes import Furnisher, Moody, SlowToGo
from tests.reconcile.made import link, topology
from tests.reconcile.made import sandbox as closed
from tests.reconcile.room import R1, room, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshnet.dispatch.resolve import Plan
    from meshnet.driver import LinkEnd, Peer
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.end import End
    from meshnet.reconcile.sandbox import Sandbox

ONE_CALL_S = CALL_LIMIT_S + GRACE_S


class Hanging(Moody):
    """Is asked, and does not answer."""

    name = "hanging"
    takes_s = 1000.0
    unpatch_takes_s = 1000.0


def test_an_edit_during_an_add_is_not_lost(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1", "eth2")
            here.store.lasts_s = 1.0  # the claim takes its time
            box = sandbox("r1")
            adding = asyncio.create_task(here.add(box))
            await asyncio.sleep(0.2)
            await here.declare("eth2", "eth3")
            await adding
            await asyncio.sleep(1.0)
            assert box.ends.keys() == {"eth2", "eth3"}
            assert {end.endpoint.interface for end in here.table.ends()} == {"eth2", "eth3"}
            (saved,) = here.saved()
            assert saved.ends.keys() == {"eth2", "eth3"}

    run(main())


def test_pods_do_not_wait_for_each_others_claims(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1")
            await here.store.apply(topology("r2", link(9, "eth1", "x9:eth1")))
            await asyncio.sleep(0.1)
            here.store.lasts_s = 1.0
            boxes = [sandbox("r1"), sandbox("r2")]
            adds = [asyncio.create_task(here.add(box)) for box in boxes]
            await asyncio.sleep(0.5)
            assert len(here.saved()) == 2
            assert not any(add.done() for add in adds)
            await asyncio.gather(*adds)
            assert {write.status["container_id"] for write in here.store.writes} == {
                box.key.container_id for box in boxes
            }

    run(main())


def test_only_ends_that_a_new_pod_is_not_patched_to_are_told_of_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.store.apply(topology("r1", link(1, "eth1", "r2:eth1"), link(2, "eth2", "r2:eth2")))
            await here.store.apply(topology("r2", link(1, "eth1", "r1:eth1"), link(2, "eth2", "r1:eth9")))
            await asyncio.sleep(0.1)
            one, two = sandbox("r1"), sandbox("r2")
            await here.add(one)
            await here.add(two)
            await asyncio.sleep(0.1)
            assert one.ends["eth1"].joint is not None
            assert one.ends["eth2"].why_not[0] == "PeerMismatch"

            kicked: list[Endpoint] = []
            monkeypatch.setattr(here.workers, "kick", kicked.append)
            here.aligner.kick_unreached(two)
            assert kicked == [one.ends["eth2"].endpoint]

    run(main())


def test_a_topology_that_comes_during_the_add_is_not_lost(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            box = sandbox("r1")
            await here.store.apply(topology("r1", link(1, "eth1", "x:eth1")))
            await here.add(box)  # its Topology was asked for just before
            await asyncio.sleep(1.0)
            assert box.ends.keys() == {"eth1"}
            assert (await here.cache.reread(R1)).topology.claim.node == "n1"  # type: ignore[union-attr]

    run(main())


def test_a_claim_that_fails_is_tried_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            box = sandbox("r1")
            await here.add(box)
            here.store.error = StoreUnavailable("away")
            await here.declare("eth1")
            await asyncio.sleep(3.0)
            here.store.error = None
            await asyncio.sleep(30.0)
            assert here.store.writes[0].status["container_id"] == box.key.container_id

    run(main())


def test_a_pod_that_cannot_be_entered_says_so_in_its_late_topology(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.add(closed("r1"))
            await here.declare("eth1")
            assert here.store.writes[0].status["links"][0]["reason"] == "RestartPod"

    run(main())


def test_the_epoch_of_a_late_claim_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.add(sandbox("r1"))
            await here.declare("eth1")
            (saved,) = here.saved()
            assert saved.epoch == 1
            assert here.store.writes[0].status["epoch"] == 1

    run(main())


def test_peers_learn_of_a_claim_whose_answer_was_lost(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.store.apply(topology("r1", link(1, "eth1", "r2:eth1")))
            await here.store.apply(topology("r2", link(1, "eth1", "r1:eth1")))
            await asyncio.sleep(0.1)
            one, two = sandbox("r1"), sandbox("r2")
            await here.add(one)
            await here.add(two)
            await asyncio.sleep(1.0)
            assert two.ends["eth1"].joint == Joint(one.ends["eth1"].endpoint, 1)

            here.store.lost = StoreUnavailable("the answer was lost")
            await MemoryStore.patch_status(here.store, Kind.TOPOLOGY, *R1, {"node": None, "container_id": None})
            await asyncio.sleep(5.0)

            assert one.epoch == 2
            assert two.ends["eth1"].joint == Joint(one.ends["eth1"].endpoint, 2)

    run(main())


def test_what_a_pod_gets_is_what_is_declared_once_others_have_been_taken_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    make = Furnisher.make

    def noting(self: Furnisher, box: Sandbox, plans: Sequence[Plan], inside: object) -> list[End]:
        made.extend(plan.local.interface for plan in plans)
        return make(self, box, plans, inside)

    async def main() -> None:
        async with room(tmp_path, SlowToGo) as here:
            await here.store.apply(topology("r1", link(1, "eth1", "r1:eth2"), link(1, "eth2", "r1:eth1")))
            await asyncio.sleep(0.1)
            await here.come("r1")
            monkeypatch.setattr(Furnisher, "make", noting)
            await here.declare("eth3", "eth4")  # eth1 and eth2 are taken away, which takes their driver a while
            await here.declare("eth4")
            await asyncio.sleep(10.0)
            assert made == ["eth4"]

    run(main())


def test_an_add_comes_again_just_as_an_interface_goes(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1", "eth2")
            box = sandbox("r1")
            await here.add(box)
            again = asyncio.create_task(here.add_again(box))
            asyncio.get_running_loop().call_soon(box.ends.pop, "eth2")  # by an edit
            await again

    run(main())


def test_an_interface_that_is_declared_again_before_its_turn_to_go_stays(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1")
            box = sandbox("r1")
            await here.add(box)
            end = box.ends["eth1"]
            async with here.workers.hold(end.endpoint):  # as by a driver that takes its time
                await here.declare()
                await here.declare("eth1")
            await asyncio.sleep(10.0)
            assert box.ends["eth1"] is end

    run(main())


def test_a_pod_that_goes_while_it_is_aligned_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, SlowToGo) as here:
            await here.store.apply(topology("r1", link(1, "eth1", "r1:eth2"), link(1, "eth2", "r1:eth1")))
            await asyncio.sleep(0.1)
            box = sandbox("r1")
            await here.add(box)
            await here.declare("eth3")  # eth1 and eth2 are taken away, which takes their driver a while
            await here.sandboxes.remove(box, why="DEL")
            await asyncio.sleep(10.0)
            assert here.table.ends() == []
            assert here.saved() == []
            assert "node" not in (await here.store.get(here.cache.entries()[0].resource.kind, *R1)).status

    run(main())


def test_what_a_newer_sandbox_has_is_not_given_back_for_an_older_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, SlowToGo) as here:
            cable = topology("r1", link(1, "eth1", "r1:eth2"), link(1, "eth2", "r1:eth1"))
            given_back: list[Endpoint] = []
            here.identifiers.release = given_back.extend
            await here.store.apply(cable)
            await asyncio.sleep(0.1)
            await here.add(sandbox("r1"))
            await here.declare("eth3")  # eth1 and eth2 are taken away, which takes their driver a while
            await here.store.apply(cable)
            await asyncio.sleep(0.1)
            await here.add(sandbox("r1", "newer"))
            await asyncio.sleep(10.0)
            assert {end.endpoint.interface for end in here.table.ends()} == {"eth1", "eth2"}
            assert given_back == []

    run(main())


def test_drivers_that_hang_hold_a_pod_up_for_one_limit_only(tmp_path: Path) -> None:
    names = [f"eth{number}" for number in range(1, 21)]

    async def main() -> None:
        async with room(tmp_path, Hanging) as here:
            cables = list(zip(names[::2], names[1::2], strict=True))
            entries = [
                link(number, local, f"r1:{peer}")
                for number, cable in enumerate(cables)
                for local, peer in (cable, cable[::-1])
            ]
            await here.store.apply(topology("r1", *entries))
            await asyncio.sleep(0.1)
            box = sandbox("r1")
            loop = asyncio.get_running_loop()
            begun = loop.time()
            await here.add(box)
            assert loop.time() - begun < ONE_CALL_S * 1.5
            for end in box.ends.values():
                end.patched, end.patched_by = cast("Any", SimpleNamespace(local=end.endpoint)), "hanging"
            begun = loop.time()
            await here.sandboxes.remove(box, why="DEL")
            assert loop.time() - begun < ONE_CALL_S * 2.5  # a call under way ends first

    run(main())


def test_a_driver_that_hangs_does_not_hold_up_other_pods(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, Hanging) as here:
            names = [f"r{number}" for number in range(1, 6)]
            for name in names:
                await here.store.apply(topology(name, link(1, "eth1", f"{name}:eth2"), link(1, "eth2", f"{name}:eth1")))
            await here.store.apply(topology("other", link(9, "eth1", "nowhere:eth1")))
            await asyncio.sleep(0.1)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            adds = [asyncio.create_task(here.come(name)) for name in names]
            await asyncio.sleep(0)
            await here.come("other")
            assert loop.time() - begun < 1.0
            await asyncio.gather(*adds)
            assert loop.time() - begun < ONE_CALL_S * 1.5
            assert len(here.saved()) == 6

    run(main())


def test_a_driver_that_was_told_of_a_peers_older_sandbox_is_told_of_the_newer_one(tmp_path: Path) -> None:
    """Also when it has answered before the newer one's own patch is made."""
    told: list[tuple[str, int]] = []

    class Far(Moody):
        name = "by-device"

        async def patch(self, link: LinkEnd, peer: Peer | None) -> Device:  # type: ignore[override]
            await asyncio.sleep(2.0)
            assert peer is not None
            told.append((link.local.pod, peer.epoch))
            return Device(7)

    async def main() -> None:
        async with room(tmp_path, Far) as here:
            await here.store.apply(topology("r1", link(1, "eth1", "r2:eth1")))
            await here.store.apply(topology("r2", link(1, "eth1", "r1:eth1")))
            await asyncio.sleep(0.1)
            await here.come("r1")
            await here.come("r2")  # r1's driver is asked for the first time
            await asyncio.sleep(0.5)
            newer = sandbox("r2", "c-newer")
            await here.add(newer)
            await asyncio.sleep(10.0)
            assert ("r1", newer.epoch) in told

    run(main())


def test_an_add_that_is_given_up_while_a_driver_hangs_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, Hanging) as here:
            await here.store.apply(topology("r1", link(1, "eth1", "r1:eth2"), link(1, "eth2", "r1:eth1")))
            await asyncio.sleep(0.1)
            for patience_s in (0.05, 5.0):  # in its turn, and after it
                adding = asyncio.create_task(here.come("r1"))
                await asyncio.sleep(patience_s)
                adding.cancel()
                await asyncio.wait({adding})
                assert adding.cancelled()
                assert here.table.ends() == []
                assert here.saved() == []
                await asyncio.sleep(1.0)
                assert not [task for task in asyncio.all_tasks() if "_settle_now" in repr(task)]

    run(main())


def test_a_status_that_is_refused_keeps_no_pod_from_going(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1")
            box = sandbox("r1")
            await here.add(box)
            here.store.error = InvalidObject("Topology default/r1", [Problem("status", "{}", "what a webhook likes")])
            await here.sandboxes.remove(box, why="DEL")
            assert here.table.ends() == []
            with pytest.raises(InvalidObject):
                await here.add(sandbox("r1", "newer"))
            assert here.saved() == []

    run(main())


def test_del_of_the_older_sandbox_gives_no_identifier_back(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            given_back: list[Endpoint] = []
            here.identifiers.release = given_back.extend
            await here.store.apply(topology("r1", link(1, "eth1", "r1:eth2"), link(1, "eth2", "r1:eth1")))
            await asyncio.sleep(0.1)
            old, new = sandbox("r1"), sandbox("r1", "newer")
            await here.add(old)
            await here.add(new)
            await here.sandboxes.remove(old, why="DEL")
            assert given_back == []
            await here.sandboxes.remove(new, why="DEL")
            assert {end.interface for end in given_back} == {"eth1", "eth2"}

    run(main())


def test_nothing_is_told_of_a_pod_before_its_identifiers_are_kept(tmp_path: Path) -> None:
    async def kept() -> None:
        raise OSError(errno.EIO, "the disk")

    async def main() -> None:
        async with room(tmp_path) as here:
            here.identifiers.kept = kept
            await here.declare("eth1")
            with pytest.raises(StoreError):
                await here.add(sandbox("r1"))
            found = await here.store.get(Kind.TOPOLOGY, *R1)
            assert not found.status.get("node")

    run(main())
