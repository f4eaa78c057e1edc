"""GC takes its time, and pods go and come meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from meshnet.cni.frame import Frame
from meshnet.daemon.cni_calls import CniCalls
from meshnet.daemon.connection import Call
from tests.reconcile.fakes import SlowToGo
from tests.reconcile.made import link, topology
from tests.reconcile.room import room, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from pathlib import Path


def test_a_sandbox_that_was_added_anew_meanwhile_stays_known(tmp_path: Path) -> None:
    """Its container has the same ID as the one that was to go; unknown, no DEL would find it."""
    body = {"cniVersion": "1.1.0", "name": "mesh", "type": "meshnet", "cni.dev/valid-attachments": []}
    gc = Call(Frame({"CNI_COMMAND": "GC"}, json.dumps(body).encode()), [])

    async def main() -> None:
        async with room(tmp_path, SlowToGo) as here:
            await here.store.apply(topology("r1", link(1, "eth1", "r1:eth2"), link(1, "eth2", "r1:eth1")))
            await asyncio.sleep(0.1)
            await here.come("r1")
            await here.come("r2")
            old = here.table.sandboxes[sandbox("r2").key]
            collecting = asyncio.create_task(CniCalls(here.sandboxes, here.cache).answer(gc))
            await asyncio.sleep(1.0)  # r1's driver is at it
            await here.sandboxes.remove(old, why="DEL")
            await here.come("r2")
            new = here.table.sandboxes[old.key]
            assert await collecting == b"0"
            assert here.sandboxes.find(old.key) is new
            assert [box.pod for box in here.saved()] == ["r2"]

    run(main())
