"""Without SYS_ADMIN: what works, and what says that it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.scenarios import daemons
from tests.cluster.scenarios.edits import addresses, edit
from tests.cluster.scenarios.space import APART, CABLE
from tests.lab.scenarios.wiring import Cable, topology

if TYPE_CHECKING:
    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.scenarios.space import Space

ADDRESS = "10.9.9.1/24"
OTHER = Cable(1, "r1:eth1", "r3:eth1")


def test_links_are_re_cabled_and_unplugged_and_an_address_needs_a_restart(upgraded: Cluster, space: Space) -> None:
    space.declare(CABLE)
    space.apply(topology("r3", [entry for pod, entry in OTHER.entries() if pod == "r3"], space.name))
    space.start({**APART, "r3": "n3"})
    space.wait_ready(*APART)
    space.wait_running("r1", "r2", "r3")
    daemons.delete(upgraded, "n1")

    edit(space, "r1", peer_pod="r3")
    space.wait_linked(OTHER)
    space.wait_carrier("r2", "0")
    edit(space, "r1", down=True)
    space.wait_carrier("r3", "0")
    edit(space, "r1", down=False)
    space.wait_carrier("r3", "1")
    edit(space, "r1", local_ip=ADDRESS)
    space.wait_reason("r1", "RestartPod")
    assert (space.carrier("r1"), space.carrier("r3")) == ("1", "1")
    assert addresses(space, "r1") == [f"{OTHER.addresses[0]}/24"]

    space.delete("pod/r1")
    space.start({"r1": "n1"})
    space.wait_running("r1")
    assert addresses(space, "r1") == [ADDRESS]
    space.wait_carrier("r1", "1")
    space.wait_reason("r1", "")
