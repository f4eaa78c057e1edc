"""Claims after the store was put back to an older state."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshnet.model.resource import Kind
from meshnet.model.topology import MAX_EPOCH
from tests.reconcile.made import Backup
from tests.reconcile.test_sandbox_races import R1, room, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_pod_whose_claim_was_lost_is_claimed_again(tmp_path: Path, epoch: int) -> None:
    """By another sandbox of this node, or by none, the claim of before the backup."""

    async def main() -> None:
        async with room(tmp_path) as here:
            store = here.store
            await here.declare("eth1")
            if epoch:
                await store.patch_status(Kind.TOPOLOGY, *R1, {"node": "n1", "container_id": "old", "epoch": epoch})
            await asyncio.sleep(1)
            backup = Backup(store)
            box = sandbox("r1")
            await here.add(box)
            await asyncio.sleep(20)
            assert (await store.get(Kind.TOPOLOGY, *R1)).status["container_id"] == box.key.container_id
            backup.restore()
            await asyncio.sleep(20)
            status = (await store.get(Kind.TOPOLOGY, *R1)).status
            assert (status["node"], status["container_id"]) == ("n1", box.key.container_id)

    run(main())


@pytest.mark.parametrize("epoch", [MAX_EPOCH - 1, MAX_EPOCH, MAX_EPOCH + 1, 2**63 - 1])
@pytest.mark.parametrize("node", ["n2", ""])
def test_a_pod_starts_whatever_epoch_somebody_wrote(tmp_path: Path, epoch: int, node: str) -> None:
    """A store whose schema is older takes any; none that a daemon writes may be more than the newer one takes."""

    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1")
            await here.store.patch_status(Kind.TOPOLOGY, *R1, {"node": node, "container_id": "x", "epoch": epoch})
            await asyncio.sleep(1)
            box = sandbox("r1")
            await here.add(box)
            await asyncio.sleep(20)
            status = (await here.store.get(Kind.TOPOLOGY, *R1)).status
            assert (status["node"], status["container_id"]) == ("n1", box.key.container_id)
            assert status["epoch"] == (MAX_EPOCH if epoch == MAX_EPOCH - 1 else 1)

    run(main())


def test_a_pod_that_runs_is_claimed_again_whatever_epoch_was_left_without_a_node(tmp_path: Path) -> None:
    async def main() -> None:
        async with room(tmp_path) as here:
            await here.declare("eth1")
            box = sandbox("r1")
            await here.add(box)
            await asyncio.sleep(20)
            await here.store.patch_status(Kind.TOPOLOGY, *R1, {"node": "", "container_id": "", "epoch": 2**63 - 1})
            await asyncio.sleep(20)
            status = (await here.store.get(Kind.TOPOLOGY, *R1)).status
            assert (status["node"], status["container_id"], status["epoch"]) == ("n1", box.key.container_id, 1)

    run(main())
