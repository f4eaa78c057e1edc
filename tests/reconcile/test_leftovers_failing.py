"""What no end needs goes; one that cannot does not keep the others, one driver that hangs not those of another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshnet.driver import Device, LinkDriver, LinkError, Owned, Scope
from meshnet.driver.calls import GRACE_S
from meshnet.driver.registry import Registry
from meshnet.reconcile.leftovers import Leftovers
from meshnet.reconcile.patch import CALL_LIMIT_S
from meshnet.reconcile.table import Table
from tests.reconcile.fakes import idle_workers
from tests.reconcile.made import end, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.driver import LinkEnd, Peer


class Hoarder(LinkDriver):
    """Owns three devices that nobody needs, and cannot part with the first."""

    api = 1
    name = "hoarder"
    scopes = Scope.SAME_NODE

    def __init__(self) -> None:
        self.owned = [Owned(None, Device(number), f"device {number}") for number in (1, 2, 3)]

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Device:
        return Device(1)

    async def inspect(self) -> Sequence[Owned]:
        return list(self.owned)

    async def discard(self, owned: Owned) -> None:
        if owned.splice == Device(1):
            raise LinkError("Busy", "somebody holds it")
        self.owned.remove(owned)


class Stuck(Hoarder):
    """Never parts with anything."""

    name = "stuck"

    async def discard(self, owned: Owned) -> None:
        await asyncio.sleep(1000)


class Blind(Hoarder):
    """Never finds what it owns."""

    name = "blind"

    async def inspect(self) -> Sequence[Owned]:
        await asyncio.sleep(1000)
        return []


def test_the_others_are_discarded() -> None:
    registry = Registry.of(Hoarder)

    async def main() -> None:
        await Leftovers(registry, Table(), idle_workers()).sort_out()

    run(main())
    driver = registry.get("hoarder").driver
    assert isinstance(driver, Hoarder)
    assert [owned.what for owned in driver.owned] == ["device 1"]


def test_drivers_that_hang_are_waited_for_once_and_together() -> None:
    registry = Registry.of(Stuck, Blind, Hoarder)

    async def main() -> float:
        begun = asyncio.get_running_loop().time()
        await Leftovers(registry, Table(), idle_workers()).sort_out()
        return asyncio.get_running_loop().time() - begun

    assert run(main()) < 1.5 * (CALL_LIMIT_S + GRACE_S)
    driver = registry.get("hoarder").driver
    assert isinstance(driver, Hoarder)
    assert [owned.what for owned in driver.owned] == ["device 1"]


@pytest.mark.parametrize("patched_by", [None, "", "another", "hoarder"])
def test_what_no_end_is_patched_by_goes(patched_by: str | None) -> None:
    """None: there is no such end at all."""
    registry, table, box = Registry.of(Hoarder), Table(), sandbox("r1")
    made = end(box, "eth1", "r2:eth1", ifindex=1)
    if patched_by is not None:
        made.patched_by = patched_by
        table.add(box)
    driver = registry.get("hoarder").driver
    assert isinstance(driver, Hoarder)
    driver.owned = [Owned(made.endpoint, Device(2), "its device")]

    async def main() -> None:
        await Leftovers(registry, table, idle_workers()).sort_out()

    run(main())
    assert [owned.what for owned in driver.owned] == (["its device"] if patched_by == "hoarder" else [])
