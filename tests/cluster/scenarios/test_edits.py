"""Links of running pods are edited, before and after their daemon has restarted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios import daemons
from tests.cluster.scenarios.edits import addresses, edit
from tests.cluster.scenarios.space import APART, CABLE
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from tests.cluster.scenarios.space import Space

MORE = Cable(2, "r1:eth2", "r2:eth2")


def test_edits_are_applied_even_by_a_daemon_that_did_not_start_the_pod(space: Space) -> None:
    space.wire(CABLE, places=APART)
    edit(space, "r1", local_ip="10.9.9.1/24")
    wait_for(lambda: addresses(space, "r1") == ["10.9.9.1/24"], "r1 to have another address")
    daemons.kill(space.cluster.nodes["n1"])
    edit(space, "r1", local_ip=f"{CABLE.addresses[0]}/24")
    space.declare(CABLE, MORE)

    space.wait_linked(CABLE)
    space.wait_linked(MORE)
