"""Pods and Topologies come and go in any order, and nothing is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.scenarios import traces
from tests.cluster.scenarios.space import APART, CABLE

if TYPE_CHECKING:
    from tests.cluster.scenarios.space import Space

TOPOLOGIES = ("topology/r1", "topology/r2")
PODS = ("pod/r1", "pod/r2")
ORDERS = {
    "topologies first": (TOPOLOGIES, PODS),
    "pods first": (PODS, TOPOLOGIES),
    "one pod's, then the other's": (("topology/r1", "pod/r1"), ("pod/r2", "topology/r2")),
}


def test_topologies_may_come_after_their_pods(space: Space) -> None:
    space.start(APART)
    space.wait_running(*APART)
    assert space.try_kubectl("exec", "r1", "--", "ls", "/sys/class/net/eth1").returncode != 0

    space.declare(CABLE)

    space.wait_ready(*APART)
    space.wait_linked()


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_nothing_is_left_in_whatever_order_they_go(space: Space, order: tuple[tuple[str, ...], ...]) -> None:
    space.wire(CABLE, places=APART)
    for what in order:
        space.delete(*what)
    traces.wait_none_of(space)


def test_a_topology_that_goes_only_unplugs_and_comes_back_to_the_same_interface(space: Space) -> None:
    space.wire(CABLE, places=APART)
    before = space.inside("r2", "cat", "/sys/class/net/eth1/ifindex")

    space.delete("topology/r2")

    space.wait_carrier("r1", "0")
    space.wait_reason("r1", "PeerMissing")
    assert space.carrier("r2") == "0"
    space.declare(CABLE)
    space.wait_linked()
    assert space.inside("r2", "cat", "/sys/class/net/eth1/ifindex") == before


@pytest.mark.parametrize("force", [False, True], ids=["", "by force"])
def test_a_pod_goes_and_comes_again_and_again_while_its_peer_stays(space: Space, *, force: bool) -> None:
    space.wire(CABLE, places=APART)
    before = space.inside("r1", "cat", "/sys/class/net/eth1/ifindex")

    for node in ("n2", "n3", "n1"):
        space.delete("pod/r2", force=force)
        space.start({"r2": node})
        space.wait_running("r2")
        space.wait_linked()

    assert space.inside("r1", "cat", "/sys/class/net/eth1/ifindex") == before
    space.delete(*PODS, force=force)
    traces.wait_none_of(space)
