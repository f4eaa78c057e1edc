from __future__ import annotations

from typing import Any

import pytest

from meshnet.cli.cluster.pods import CONTAINER, daemon_pods

RUNNING = {"state": {"running": {}}, "ready": True}


def pod(name: str, node: str = "n1", going: bool = False, **container: Any) -> dict[str, Any]:
    metadata = {"name": name} | ({"deletionTimestamp": "now"} if going else {})
    statuses = [{"name": CONTAINER, **container}] if container else []
    return {
        "metadata": metadata,
        "spec": {"nodeName": node},
        "status": {"phase": "Pending", "containerStatuses": statuses},
    }


def test_a_pod_that_runs_is_in_charge_before_one_that_goes_or_waits() -> None:
    waiting = pod("b", state={"waiting": {"reason": "ContainerCreating"}})
    found = daemon_pods([pod("a", going=True, **RUNNING), pod("c", **RUNNING), waiting, pod("d", "n2", **RUNNING)])
    assert {node: one.name for node, one in found.items()} == {"n1": "c", "n2": "d"}
    assert found["n1"].running
    assert found["n1"].ready


def test_a_pod_that_is_on_no_node_yet_is_of_none() -> None:
    assert daemon_pods([pod("a", node="")]) == {}


@pytest.mark.parametrize(
    ("made", "running", "condition"),
    [
        (pod("a", **RUNNING), True, "Running"),
        (pod("a", state={"running": {}}), True, "Running, and not ready"),
        (pod("a", state={"waiting": {"reason": "ErrImagePull", "message": "no such"}}), False, "ErrImagePull: no such"),
        (pod("a", state={"terminated": {"reason": "Error"}}), False, "Error"),
        (pod("a", going=True, **RUNNING), False, "is being deleted"),
        (pod("a"), False, "Pending"),
        ({"metadata": {"name": "a"}, "spec": {"nodeName": "n1"}}, False, "Unknown"),
    ],
)
def test_how_a_pod_is_in_words(made: dict[str, Any], running: bool, condition: str) -> None:
    (found,) = daemon_pods([made]).values()
    assert (found.running, found.condition) == (running, condition)
