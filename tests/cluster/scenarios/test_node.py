"""A node's kubelet and its runtime end and come back, and ask how the plugin is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios import daemons, traces
from tests.cluster.scenarios.space import APART, CABLE
from tests.cluster.scenarios.traffic import pinging

if TYPE_CHECKING:
    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.scenarios.space import Space

ALIVE = "/run/meshnet/alive"


def readiness(cluster: Cluster, node: str) -> tuple[str, str, str]:
    """Whether a node is ready, since when, and why."""
    conditions = cluster.get("node", node)["status"]["conditions"]
    (found,) = [each for each in conditions if each["type"] == "Ready"]
    return found["status"], found["lastTransitionTime"], found["message"]


@pytest.mark.parametrize("process", ["kubelet", "containerd"])
def test_links_lose_nothing_and_pods_come_and_go_when_it_is_killed(space: Space, process: str) -> None:
    space.wire(CABLE, places=APART)
    node = space.cluster.nodes["n2"]
    before = (space.carrier_changes("r1"), space.carrier_changes("r2"))

    with pinging(space, "r1", CABLE.addresses[1]) as pings:
        killed = node.request("kill", process)
        wait_for(lambda: node.request("pid", process) not in {"", killed}, f"{process} to be started again")
        space.start({"r3": "n2"})
        space.wait_running("r3")

    assert pings.lost == 0
    assert (space.carrier_changes("r1"), space.carrier_changes("r2")) == before
    space.delete("pod/r2", "pod/r3")
    wait_for(lambda: traces.of(node, space) == [], "n2 to have nothing of r2 and r3")


def test_a_pod_deleted_while_the_runtime_is_away_leaves_nothing(space: Space) -> None:
    space.wire(CABLE, places=APART)
    node = space.cluster.nodes["n2"]
    node.request("stop", "containerd")
    space.kubectl("delete", "pod", "r2", "--wait=false")

    node.request("start", "containerd")

    space.kubectl("wait", "pod/r2", "--for=delete", "--timeout=60s")
    wait_for(lambda: traces.of(node, space) == [], "n2 to have nothing of r2")
    space.wait_carrier("r1", "0")


def test_a_node_stays_ready_while_its_daemon_restarts(space: Space) -> None:
    before = readiness(space.cluster, "n1")
    assert before[0] == "True"

    with daemons.away(space.cluster, "n1"):
        # the runtime asks every five seconds
        assert space.cluster.nodes["n1"].path(ALIVE).exists()
        wait_for(lambda: age_s(space.cluster) > 11, "the daemon to be away for two questions", 30)
        assert readiness(space.cluster, "n1") == before

    assert readiness(space.cluster, "n1") == before


def age_s(cluster: Cluster) -> float:
    node = cluster.nodes["n1"]
    return float(node.run("sh", "-c", f"echo $(( $(date +%s) - $(stat -c %Y {ALIVE}) ))"))


def test_a_node_whose_daemon_is_away_for_long_says_so_until_it_is_back(space: Space) -> None:
    node = space.cluster.nodes["n1"]
    with daemons.away(space.cluster, "n1"):
        node.run("touch", "--date=2 minutes ago", ALIVE)
        wait_for(lambda: readiness(space.cluster, "n1")[0] == "False", "n1 not to be ready")
        said = readiness(space.cluster, "n1")[2]

    space.cluster.wait_nodes_ready("n1")
    assert ALIVE in said
