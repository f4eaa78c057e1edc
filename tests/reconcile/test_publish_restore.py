"""Claims after the store was put back to an older state."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshnet.model.resource import Kind
from tests.reconcile.fakes import Moody
from tests.reconcile.test_sandbox_races import R1, Room, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_pod_whose_claim_was_lost_is_claimed_again(tmp_path: Path, epoch: int) -> None:
    """By another sandbox of this node, or by none, the claim of before the backup."""

    async def main() -> None:
        room = Room(tmp_path, Moody)
        following = asyncio.create_task(room.cache.run())
        await room.declare("eth1")
        if epoch:
            await room.store.patch_status(Kind.TOPOLOGY, *R1, {"node": "n1", "container_id": "old", "epoch": epoch})
        await asyncio.sleep(1)
        kept = (dict(room.store._objects), room.store._log.copy(), room.store._revision)
        box = sandbox("r1")
        await room.add(box)
        await asyncio.sleep(20)
        assert (await room.store.get(Kind.TOPOLOGY, *R1)).status["container_id"] == box.key.container_id
        room.store._objects, room.store._log, room.store._revision = kept
        room.store._wakeups.ring()
        await asyncio.sleep(20)
        status = (await room.store.get(Kind.TOPOLOGY, *R1)).status
        assert (status["node"], status["container_id"]) == ("n1", box.key.container_id)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await room.workers.close()
        await room.aligner.close()
        room.publisher.close()

    run(main())
