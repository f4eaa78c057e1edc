"""Whose a pod is when its Topology was made anew, and with it the count of epochs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from meshnet.model.resource import Kind
from meshnet.reconcile.adopt import adopt
from meshnet.reconcile.table import Table
from tests.reconcile.room import R1, room, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from pathlib import Path


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
