"""What becomes of a driver's own interface."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, cast

from meshnet.driver import Attachment, Interface, RestartPod, Scope
from meshnet.model.resource import Kind
from tests.reconcile.fakes import Moody
from tests.reconcile.made import link, topology
from tests.reconcile.room import R1, room, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from pathlib import Path

    from meshnet.driver import LinkEnd, Peer, Port
    from meshnet.reconcile.sandbox import Sandbox
    from tests.reconcile.room import Room

DECLARED = topology("r1", link(1, "net1", "localhost:nic0"))


class Direct(Moody):
    """Makes the interface itself, once; notes what it was asked for beside that."""

    name = "direct"
    scopes = claims = Scope.EXTERNAL
    attachment = Attachment.DIRECT
    asked: ClassVar[list[str]] = []

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Port:
        return cast("Port", Interface(7))

    async def unpatch(self, link: LinkEnd) -> None:
        self.asked.append("unpatch")


class Switchable(Direct):
    name = "switchable"

    async def set_carrier(self, link: LinkEnd, up: bool) -> None:
        self.asked.append("up" if up else "down")


async def added(here: Room, driver: type[Direct]) -> Sandbox:
    """Add a pod with a link by a driver, which forgets what it was asked for."""
    await here.store.apply(DECLARED)
    await asyncio.sleep(0.1)
    box = sandbox("r1")
    await here.add(box)
    driver.asked.clear()
    return box


def deleted_and_back(tmp_path: Path, driver: type[Direct]) -> list[str]:
    """Return what a driver is asked for when its pod's Topology is deleted, comes again, and declares no link then."""

    async def main() -> None:
        async with room(tmp_path, driver) as here:
            box = await added(here, driver)
            await here.store.delete(Kind.TOPOLOGY, *R1)
            await asyncio.sleep(1.0)
            assert (box.ends["net1"].interface, box.ends["net1"].joint) == (7, None)
            await here.store.apply(DECLARED)
            await asyncio.sleep(1.0)
            assert box.ends["net1"].why_not == ("", "")
            await here.store.apply(topology("r1"))
            await asyncio.sleep(1.0)
            assert box.ends == {}

    run(main())
    return [each for number, each in enumerate(driver.asked) if driver.asked[number - 1 : number] != [each]]


def test_without_a_topology_it_only_loses_its_carrier(tmp_path: Path) -> None:
    assert deleted_and_back(tmp_path, Switchable) == ["down", "up", "down", "unpatch"]


def test_one_in_a_pod_that_cannot_be_entered_goes(tmp_path: Path) -> None:
    """It would stay connected: without a Topology nothing may be."""

    class Outside(Switchable):
        name = "outside"

        async def set_carrier(self, link: LinkEnd, up: bool) -> None:
            if not up:
                raise RestartPod("its namespace cannot be entered any more")

    async def main() -> None:
        async with room(tmp_path, Outside) as here:
            box = await added(here, Outside)
            await here.store.delete(Kind.TOPOLOGY, *R1)
            await asyncio.sleep(1.0)
            assert (box.ends["net1"].interface, Outside.asked) == (0, ["unpatch"])

    run(main())


def test_one_whose_driver_cannot_take_carrier_stays_as_it_is(tmp_path: Path) -> None:
    assert deleted_and_back(tmp_path, Direct) == ["unpatch"]
