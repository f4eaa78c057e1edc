"""The API server is away: links stay, a sandbox that nobody can be told of waits, and everything catches up."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios.space import APART, CABLE, LIMIT, READY
from tests.cluster.scenarios.traffic import pinging
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from tests.cluster.scenarios.space import Space

AWAY_S = 20.0
"""Longer than anything here waits for an answer, and than the cluster waits for a node."""
NEAR = Cable(2, "r3:eth1", "r4:eth1")
MORE = Cable(3, "r1:eth2", "r2:eth2")


def log_of(space: Space, node: str) -> str:
    """What the containers of meshnet said on a node: the node has it, the server would have to be asked."""
    return space.cluster.nodes[node].run("sh", "-c", "cat /var/log/pods/meshnet_*/meshnet/*.log")


def test_links_stay_and_all_catches_up(space: Space) -> None:
    space.wire(CABLE, NEAR, places={**APART, "r3": "n3", "r4": "n3"})
    changes = (space.carrier_changes("r1"), space.carrier_changes("r2"))
    container = space.status("r3")["container_id"]
    kill = (str(space.cluster.plane.binaries.ctr), "--namespace=k8s.io", "task", "kill", "--signal=9", container)

    with pinging(space, "r1", CABLE.addresses[1]) as pings, space.cluster.away():
        since = time.monotonic()
        # as after a failure of it: the kubelet, which knows the pod, has another sandbox made
        space.cluster.nodes["n3"].run(*kill)
        refused = f"code 11: store: Topology {space.name}/r3: patch topologies/status at the API server"
        wait_for(lambda: refused in log_of(space, "n3"), "the daemon of n3 to refuse a sandbox of r3")
        time.sleep(max(0.0, since + AWAY_S - time.monotonic()))

    assert pings.lost == 0
    space.wait_linked(NEAR)
    assert space.status("r3")["container_id"] != container
    space.wait_columns("r4", READY="True", LINKS="1/1")
    # the kubelets may take a minute more to hear of new pods; daemons hear of Topologies
    space.declare(CABLE, NEAR, MORE)
    space.wait_linked(MORE)
    assert (space.carrier_changes("r1"), space.carrier_changes("r2")) == changes
    space.wait_linked()
    # those who come after find the nodes as they were: the scheduler avoids one that has not been heard of again yet
    space.kubectl("wait", READY, "nodes", "--all", LIMIT)
