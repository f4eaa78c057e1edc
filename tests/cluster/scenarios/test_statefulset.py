"""The pod of a StatefulSet is made again, in the same place and elsewhere: its peer never notices more than carrier."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios import daemons, sets, traces
from tests.cluster.scenarios.sets import CABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.scenarios.space import Space

BACK_S = 10.0
"""Within which the links of a pod that runs again are there, with much room."""
INDEX = "/sys/class/net/eth1/ifindex"


def test_it_restarts(space: Space) -> None:
    sets.wire(space, "n2")
    index, before = space.inside("r1", "cat", INDEX), sets.identity(space)

    space.delete("pod/r2-0")

    sets.wait_replaced(space, before)
    space.wait_linked(CABLE)
    assert space.inside("r1", "cat", INDEX) == index


def test_it_moves_when_its_node_is_drained_even_to_its_peer(space: Space) -> None:
    sets.wire(space, "n2", "n1")
    index, before = space.inside("r1", "cat", INDEX), sets.identity(space)
    try:
        space.cluster.kubectl(
            "drain", "n2", "--force", "--ignore-daemonsets", "--pod-selector=app=r2", "--timeout=120s"
        )
        sets.wait_replaced(space, before)
    finally:
        space.cluster.kubectl("uncordon", "n2")

    assert sets.where(space) == "n1"
    space.wait_linked(CABLE)
    assert space.inside("r1", "cat", INDEX) == index
    wait_for(lambda: traces.of(space.cluster.nodes["n2"], space) == [], "n2 to have nothing of r2-0")


@contextmanager
def without_power(cluster: Cluster, node: str) -> Iterator[None]:
    """Pull the plug of a node for the time of the block; afterwards it is as it was."""
    cluster.kubectl("cordon", node)
    cluster.nodes[node].power_off()
    try:
        yield
    finally:
        cluster.nodes[node].power_on()
        cluster.wait_nodes_ready(node)
        cluster.kubectl("uncordon", node)
        daemons.wait_ready(cluster, node)


def test_it_moves_away_from_a_node_without_power(space: Space) -> None:
    """The next node takes over what stands there under the dead one, as the admission policy lets it."""
    sets.wire(space, "n2", "n3")
    index, before = space.inside("r1", "cat", INDEX), sets.identity(space)
    epoch = space.status("r2-0")["epoch"]

    with without_power(space.cluster, "n2"):
        space.wait_carrier("r1", "0")
        space.wait_reason("r1", "NodeLost")
        assert space.status("r2-0")["node"] == "n2"
        space.delete("pod/r2-0", force=True)
        sets.wait_replaced(space, before)
        since = time.monotonic()
        space.wait_linked(CABLE)
        assert time.monotonic() - since < BACK_S
        assert (sets.where(space), space.status("r2-0")["node"]) == ("n3", "n3")

    # the one that was dead claims nothing
    assert (space.status("r2-0")["node"], space.status("r2-0")["epoch"]) == ("n3", epoch + 1)
    space.wait_linked(CABLE)
    assert space.inside("r1", "cat", INDEX) == index
    wait_for(lambda: traces.of(space.cluster.nodes["n2"], space) == [], "n2 to have nothing of r2-0")
