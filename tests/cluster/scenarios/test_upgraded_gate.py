"""Pods with the readiness gate are ready once their links are, and not without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios.space import APART, CABLE

if TYPE_CHECKING:
    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.scenarios.space import Space

GATE = "networkop.co.uk/links"


def conditions(space: Space, pod: str) -> dict[str, str]:
    """Return the pod's conditions; it has none before the kubelet has looked at it."""
    told = space.get("pod", pod).get("status", {}).get("conditions", [])
    return {each["type"]: each["status"] for each in told}


def test_a_pod_waits_for_its_links(upgraded: Cluster, space: Space) -> None:
    gates = [{"conditionType": GATE}]
    space.declare(CABLE)
    space.start({"r1": "n1"}, readinessGates=gates)
    wait_for(lambda: conditions(space, "r1").get(GATE) == "False", "r1 to be told that its link is not ready")
    wait_for(lambda: conditions(space, "r1").get("ContainersReady") == "True", "the container of r1")
    assert conditions(space, "r1")["Ready"] == "False"

    space.start({"r2": "n2"}, readinessGates=gates)

    space.wait_running(*APART)
    assert conditions(space, "r1")[GATE] == "True"
    space.delete("pod/r2")
    wait_for(lambda: conditions(space, "r1")["Ready"] == "False", "r1 not to be ready without its peer")
