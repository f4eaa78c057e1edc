from __future__ import annotations

from typing import Any

from meshnet.cli.checks.finding import Outcome
from meshnet.cli.checks.links import SHOWN, check_links
from meshnet.cli.cluster.advice import advice
from meshnet.cli.cluster.check_topologies import pods
from meshnet.model.resource import Kind, Resource
from tests.cli.cluster.test_check_daemons import outcomes
from tests.cli.objects import topology


def row(state: str, pod: str = "r1", **more: Any) -> dict[str, Any]:
    ends = [{"pod": pod, "interface": "eth1"}, {"pod": "r2", "interface": "eth1"}]
    return {"namespace": "x", "uid": 1, "state": state, "endpoints": ends, **more}


def test_links_that_are_as_they_are_asked_for_are_counted_alone() -> None:
    (found,) = check_links([row("Up"), row("Up"), row("Down", reason="Unplugged")], advice)
    assert (found.outcome, found.told) == (Outcome.OK, "1 Down, 2 Up")
    assert check_links([], advice)[0].told == "none"


def test_links_that_are_not_up_are_told_with_reason_and_advice() -> None:
    found = check_links(
        [row("Failed", reason="NodeLost", message="n2 is silent"), row("Pending", "r3", reason="OfADriver")], advice
    )
    assert outcomes(found) == {
        "all": Outcome.OK,
        "x/r1:eth1 - r2:eth1": Outcome.FAIL,
        "x/r3:eth1 - r2:eth1": Outcome.WARN,
    }
    assert found[1].told == "Failed: NodeLost: n2 is silent"
    assert "kubectl get nodes" in found[1].advice
    assert "troubleshooting.md" in found[2].advice


def test_many_are_not_told_one_by_one() -> None:
    found = check_links([row("Pending", f"r{number}") for number in range(SHOWN + 3)], advice)
    assert len(found) == SHOWN + 2
    assert found[-1].told == "3 more links are not as they should be"


def test_a_topology_without_a_pod_and_a_pod_without_links() -> None:
    unwired = [Resource(Kind.TOPOLOGY, topology(name)) for name in ("gone", "waits", "early")]
    there = {
        ("default", name): {"status": {"phase": phase}} for name, phase in (("waits", "Pending"), ("early", "Running"))
    }
    found = {one.about: one for one in pods(unwired, there)}
    assert {one.outcome for one in found.values()} == {Outcome.WARN}
    assert found["default/gone"].told == "a Topology without a pod"
    assert "kubectl describe pod" in found["default/waits"].advice
    assert found["default/early"].told == "its pod is Running, and is not wired"


def test_a_pod_that_cannot_have_links_is_told_why_and_not_to_be_deleted() -> None:
    there: dict[tuple[str, str], dict[str, Any]] = {
        ("default", "host"): {"spec": {"hostNetwork": True}, "status": {"phase": "Running"}},
        ("default", "done"): {"spec": {}, "status": {"phase": "Succeeded"}},
        ("default", "evicted"): {"spec": {}, "status": {"phase": "Failed"}},
    }
    unwired = [Resource(Kind.TOPOLOGY, topology(name)) for _, name in there]
    host, *ended = pods(unwired, there)
    assert "hostNetwork" in host.advice
    assert all("it has ended" in one.advice for one in ended)
    assert not any("its node's daemon" in one.advice for one in (host, *ended))


def test_a_topology_that_is_held_is_not_advised_to_be_deleted() -> None:
    held = topology("held")
    held["metadata"] |= {"deletionTimestamp": "2026-01-02T03:04:05Z", "finalizers": ["example.com/guard"]}
    (found,) = pods([Resource(Kind.TOPOLOGY, held)], {})
    assert "being deleted" in found.told
    assert "example.com/guard" in found.advice
    assert "kubectl delete" not in found.advice
