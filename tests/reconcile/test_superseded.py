"""A newer sandbox has a pod while the older one's DEL is still to come, and pods go while their links are changed."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from meshnet.driver import Device, LinkError, Scope
from meshnet.errors import KernelError, StoreUnavailable
from meshnet.model.resource import Kind
from tests.reconcile.fakes import Moody, SlowToGo
from tests.reconcile.made import link, topology
from tests.reconcile.room import R1, room, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshnet.driver import LinkEnd, Peer, Port
    from meshnet.reconcile.sandbox import Sandbox
    from tests.reconcile.room import Room


class Other(Moody):
    """Another driver; notes which ends it was asked to unpatch."""

    name = "other"
    claims = Scope(0)
    unpatched: ClassVar[list[Any]] = []

    async def unpatch(self, link: LinkEnd) -> None:
        self.unpatched.append(link.alias)


def loop(**fields: Any) -> dict[str, Any]:
    """r1's Topology: a cable from eth1 to eth2."""
    return topology("r1", link(1, "eth1", "r1:eth2", **fields), link(1, "eth2", "r1:eth1", **fields))


async def declare(here: Room, **fields: Any) -> None:
    await here.store.apply(loop(**fields))
    await asyncio.sleep(0.1)


async def running(here: Room) -> Sandbox:
    """The pod's sandbox, with its Topology declared."""
    await declare(here)
    box = sandbox("r1")
    await here.add(box)
    return box


def test_an_older_sandboxs_patch_by_another_driver_goes_with_its_del(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, Moody, Other) as here:
            Other.unpatched.clear()
            await declare(here, driver="other")
            old, new = sandbox("r1"), sandbox("r1", "newer")
            await here.add(old)
            await here.store.apply(loop(driver="moody"))
            await here.add(new)
            await asyncio.sleep(0.1)
            assert {end.patched_by for end in new.ends.values()} == {"moody"}
            Other.unpatched.clear()

            await here.sandboxes.remove(old, why="DEL")

            assert len(Other.unpatched) == 2
            assert [end.joint is not None for end in new.ends.values()] == [True, True]

    run(main())


def test_what_a_newer_sandbox_is_patched_by_stays_at_an_older_ones_del(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, Moody, Other) as here:
            await declare(here, driver="other")
            old, new = sandbox("r1"), sandbox("r1", "newer")
            await here.add(old)
            await here.add(new)
            Other.unpatched.clear()

            await here.sandboxes.remove(old, why="DEL")

            assert Other.unpatched == []

    run(main())


@pytest.mark.parametrize("event", ["its pod goes", "a newer sandbox has its pod"])
def test_what_two_drivers_made_goes_if_one_was_asked_to_take_the_others_place_when(event: str, tmp_path: Path) -> None:
    class Slow(Other):
        name = "slow"
        takes_s = 2.0
        unpatched: ClassVar[list[Any]] = []

    async def main() -> None:
        async with room(tmp_path, Other, Slow) as here:
            await declare(here, driver="other")
            box = sandbox("r1")
            await here.add(box)
            Other.unpatched.clear()
            await declare(here, driver="slow")

            if event == "its pod goes":
                await here.sandboxes.remove(box, why="DEL")
            else:
                await here.add(sandbox("r1", "newer"))

            assert (len(Other.unpatched), len(Slow.unpatched)) == (2, 2)

    run(main())


def test_what_a_driver_makes_for_the_first_time_goes_if_the_pod_goes_meanwhile(tmp_path: Path) -> None:
    class Slow(Other):
        takes_s = 2.0
        unpatched: ClassVar[list[Any]] = []

    async def main() -> None:
        async with room(tmp_path, Slow) as here:
            await declare(here, driver="missing")
            box = sandbox("r1")
            await here.add(box)
            await declare(here, driver="other")

            await here.sandboxes.remove(box, why="DEL")
            await asyncio.sleep(5.0)

            assert len(Slow.unpatched) == 2

    run(main())


def test_a_driver_says_nothing_of_what_another_has_patched(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, Moody, Other) as here:
            box = await running(here)
            end = box.ends["eth1"]

            assert end.patched_by == "moody"
            here.settler.path_changed(end, "StreamLost", by="other")
            assert end.why_not[0] == ""
            here.settler.path_changed(end, "PathDown", by="moody")
            assert end.why_not[0] == "PathDown"
            end.patched_by = ""  # while it is being patched for the first time
            assert (end.concerns("moody"), end.concerns("other")) == (True, False)

    run(main())


def test_a_newer_sandboxs_end_is_tried_again_when_the_older_is_gone(tmp_path: Path) -> None:
    class Busy(Moody):
        """Serves one sandbox at a time, as a parent that macvlan has whole."""

        name = "busy"
        scopes = claims = Scope.EXTERNAL
        holder: ClassVar[Any] = None

        async def patch(self, link: LinkEnd, peer: Peer | None) -> Device:  # type: ignore[override]
            if Busy.holder not in (None, link.pod):
                raise LinkError("ParentBusy", "another sandbox has it")
            Busy.holder = link.pod
            return Device(2)

        async def unpatch(self, link: LinkEnd) -> None:
            Busy.holder = None

    async def main() -> None:
        async with room(tmp_path, Busy) as here:
            await here.store.apply(topology("r1", link(1, "eth1", "localhost:up0")))
            await asyncio.sleep(0.1)
            old, new = sandbox("r1"), sandbox("r1", "newer")
            await here.add(old)
            await here.add(new)
            await asyncio.sleep(5.0)
            end = new.ends["eth1"]
            assert end.why_not[0] == "ParentBusy"

            await here.sandboxes.remove(old, why="DEL")
            await asyncio.sleep(0.1)

            assert end.why_not[0] == ""

    run(main())


def test_an_end_that_goes_while_its_patch_is_taken_out_gets_no_new_port(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, SlowToGo, Other) as here:
            await declare(here, driver="slow")
            box = sandbox("r1")
            await here.add(box)
            applied: list[Any] = []

            async def apply(end: Any, _plan: object) -> None:
                applied.append(end)

            cast("Any", here.sandboxes)._furnisher.apply = apply
            for end in box.ends.values():
                end.port = None  # as with a driver's own interface: another takes its place only when it is gone
            await here.store.apply(loop(driver="other"))
            await asyncio.sleep(1.0)
            await here.sandboxes.remove(box, why="DEL")
            await asyncio.sleep(10.0)

            assert applied == []
            assert here.table.ends() == []

    run(main())


def test_an_add_that_comes_again_after_the_del_makes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            box = await running(here)
            async with here.sandboxes._making:
                again = asyncio.create_task(here.add_again(box))
                await asyncio.sleep(0.1)
                await here.sandboxes.remove(box, why="DEL")
            await asyncio.wait({again})

            assert "its DEL came meanwhile" in str(again.exception())
            assert here.table.ends() == []
            assert here.saved() == []

    run(main())


def test_what_the_pod_did_while_a_newer_sandbox_had_it_is_seen_when_it_is_added_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await declare(here)
            old, new = sandbox("r1"), sandbox("r1", "newer")
            await here.add(old)
            await here.add(new)
            await here.sandboxes.remove(new, why="DEL")
            assert here.inspector.looked_at == []
            here.inspector.gone = {old.ends["eth2"]}

            await here.add_again(old)

            assert here.inspector.looked_at == list(old.ends.values())
            assert old.ends["eth1"].port is not None
            assert old.ends["eth2"].reason == "PortMissing"  # it is settled without: here nobody makes another

    run(main())


def test_and_when_the_newer_sandboxs_add_fails(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            old = await running(here)
            here.store.error = StoreUnavailable("away")
            here.inspector.gone = {old.ends["eth2"]}

            with pytest.raises(StoreUnavailable):
                await here.add(sandbox("r1", "newer"))

            assert here.table.is_current(old)
            await asyncio.sleep(0.1)
            assert old.ends["eth2"].reason == "PortMissing"

    run(main())


@pytest.mark.parametrize("fails_s", [0.0, 30.0])
def test_and_when_the_answer_to_its_claim_was_lost(tmp_path: Path, fails_s: float) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            old = await running(here)
            here.store.lost = StoreUnavailable("the answer was lost")
            here.store.lasts_s = 1.0
            adding = asyncio.create_task(here.add(sandbox("r1", "newer")))
            await asyncio.sleep(0.5)
            here.store.error = StoreUnavailable("away") if fails_s else None
            with pytest.raises(StoreUnavailable):
                await adding
            await asyncio.sleep(fails_s)
            here.store.error = None
            await asyncio.sleep(60.0)

            claim = here.cache.topology(R1).claim
            assert (claim.container_id, claim.epoch) == (old.key.container_id, 3)
            assert [end.why_not[0] for end in old.ends.values()] == ["", ""]
            assert [box.epoch for box in here.saved()] == [3]
            assert len(here.store.writes) < 10

    run(main())


def test_and_when_the_newer_ones_ports_stay_for_now(tmp_path: Path) -> None:
    def refused(ifindexes: Sequence[int]) -> asyncio.Future[None]:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answer.set_exception(KernelError(errno.ENOBUFS, "delete"))
        return answer

    async def main() -> None:
        async with room(tmp_path) as here:
            old = await running(here)
            here.store.error = StoreUnavailable("away")
            here.deleter.delete_soon = refused

            with pytest.raises(StoreUnavailable):
                await here.add(sandbox("r1", "newer"))

            assert here.table.is_current(old)

    run(main())


async def adding_two(here: Room) -> list[asyncio.Task[object]]:
    """The ADDs of two newer sandboxes, one after the other."""
    adding: list[asyncio.Task[object]] = []
    for container in ("newer", "newest"):
        adding.append(asyncio.create_task(here.add(sandbox("r1", container))))
        await asyncio.sleep(0.5)
    return adding


def test_and_when_those_of_two_newer_ones_fail_the_older_one_first(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            old = await running(here)
            here.store.lasts_s = 2.0
            for task in await adding_two(here):
                here.store.lost = StoreUnavailable("the answer was lost")
                with pytest.raises(StoreUnavailable):
                    await task
            assert here.table.is_current(old)
            await asyncio.sleep(10.0)
            assert all(end.joint is not None for end in old.ends.values())

    run(main())


def test_and_when_the_second_one_comes_while_a_driver_undoes_the_first(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path, SlowToGo) as here:
            old = await running(here)
            here.store.error = StoreUnavailable("away")
            for task in await adding_two(here):
                with pytest.raises(StoreUnavailable):
                    await task
            assert here.table.is_current(old)

    run(main())


def test_an_edit_that_changes_no_link_is_seen_in_the_status(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            box = await running(here)
            await asyncio.sleep(30.0)

            await declare(here, mtu=box.ends["eth1"].applied.mtu)  # the default, said
            await asyncio.sleep(6.0)

            resource = await here.store.get(Kind.TOPOLOGY, *R1)
            assert resource.status["observedGeneration"] == resource.generation == 2
            assert [end.why_not[0] for end in box.ends.values()] == ["", ""]
            written = len(here.store.writes)
            await asyncio.sleep(60.0)
            assert len(here.store.writes) == written

    run(main())


def test_an_edit_is_not_said_to_be_ready_before_it_was_acted_on(tmp_path: Path) -> None:
    class Slow(Moody):
        """Takes long for the edit, and fails at it."""

        name = "slow"

        async def patch(self, link: LinkEnd, peer: Peer | None) -> Port:
            if link.mtu == 1400:
                await asyncio.sleep(2.0)
                raise LinkError("NoLuck", "not today")
            return await super().patch(link, peer)

    async def main() -> None:
        async with room(tmp_path, Slow) as here:
            await declare(here)
            await here.add(sandbox("r1"))
            await asyncio.sleep(30.0)
            here.store.writes.clear()

            await declare(here, mtu=1400)
            await asyncio.sleep(30.0)

            conditions = [write.status["conditions"][0] for write in here.store.writes]
            assert [(each["observedGeneration"], each["status"]) for each in conditions] == [(2, "False")]

    run(main())
