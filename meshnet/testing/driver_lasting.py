"""Conformance of links between nodes over time: restarts under traffic, and many patches one after the other."""

from __future__ import annotations

import gc
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from meshnet.driver import Socket
from meshnet.testing import snapshot
from meshnet.testing.driver_base import DriverTestBase
from meshnet.testing.flow import Flow
from meshnet.testing.passing import assert_both_ways, comes_to_pass, settle

if TYPE_CHECKING:
    from meshnet.testing.cable import Cable
    from meshnet.testing.cluster import Cluster

BACK_S = 2.0
"""How long after it is patched anew a driver that carries the frames itself may take."""
WARM_CYCLES, CYCLES = 5, 50
BLOCKS_A_CYCLE = 40
"""Python objects that a cycle may leave: caches, what tests themselves record."""
MEMORY_BYTES = 16 << 20


class LastingTests(DriverTestBase):
    """See `meshnet.testing.drivers.DriverTests`."""

    @pytest.mark.kernel
    @pytest.mark.parametrize("restarted", [("n1",), ("n1", "n2")], ids=["one node", "both nodes"])
    def test_a_restart_is_hardly_noticed(self, cluster: Cluster, restarted: tuple[str, ...]) -> None:
        """What the kernel forwards loses no frame; what the driver carries goes on soon after it is patched anew."""
        cable = cluster.cable()
        cable.patch()
        settle(cable)
        by_hand = any(isinstance(end.splice, Socket) for end in cable.ends)

        with Flow(cable.near, cable.far) as there, Flow(cable.far, cable.near) as back:
            for name in restarted:
                cluster.on(name).restart()
            cable.patch()
            if by_hand:
                assert comes_to_pass(cable, BACK_S), f"no frame passes {BACK_S:g} s after the patch"

        assert_both_ways(cable)
        if not by_hand:
            assert not there.lost, f"of {there.sent} frames {len(there.lost)} are lost"
            assert not back.lost, f"of {back.sent} frames {len(back.lost)} are lost"

    @pytest.mark.kernel
    def test_many_patches_leave_nothing(self, cluster: Cluster) -> None:
        """Neither in the kernel nor in the process: descriptors, threads, tasks, memory."""
        cable = cluster.cable()
        for number in range(WARM_CYCLES):
            _cycle(cable, used=number == 0)
        network, before = cluster.network(), _Held.now(cluster)

        for number in range(CYCLES):
            _cycle(cable, used=number % 10 == 0)

        after = _Held.now(cluster)
        assert cluster.network() == network
        assert after.descriptors <= before.descriptors
        assert after.threads <= before.threads
        assert after.tasks <= before.tasks
        assert after.blocks - before.blocks <= CYCLES * BLOCKS_A_CYCLE
        assert after.memory - before.memory <= MEMORY_BYTES
        cable.patch()
        settle(cable)
        assert_both_ways(cable)


def _cycle(cable: Cable, *, used: bool) -> None:
    cable.patch()
    if used:
        settle(cable)
    cable.unpatch()


class _Held(NamedTuple):
    """What the process has of each kind."""

    descriptors: int
    threads: int
    tasks: int
    blocks: int
    memory: int

    @classmethod
    def now(cls, cluster: Cluster) -> _Held:
        gc.collect()
        return cls(
            len(snapshot.process()),
            # asyncio's own pool is bounded, and grows when all of it happen to be busy
            sum(not thread.name.startswith("asyncio_") for thread in threading.enumerate()),
            sum(bench.tasks() for bench in cluster.benches),
            sys.getallocatedblocks(),
            int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
        )
