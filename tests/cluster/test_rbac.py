"""The least that a daemon needs, and nothing else."""

from __future__ import annotations

import json

import pytest

from meshnet.model.resource import API_VERSION
from tests.cluster.accounts import NAMESPACE, RECORDS, Daemons, refused
from tests.cluster.machine.commands import wait_for
from tests.cluster.resources import MERGE

pytestmark = pytest.mark.cluster

STRATEGIC = "application/strategic-merge-patch+json"
PATHS = ("/api/v1/pods", "/api/v1/secrets", "/api/v1/nodes", "/api/v1/nodes/n1", "/api/v1/configmaps", "/api/v1/events")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.mark.parametrize("path", [*PATHS, CRDS, f"{CRDS}/gwirekobjs.networkop.co.uk", "/apis/apps/v1/daemonsets"])
def test_a_daemon_reads_nothing_else(daemons: Daemons, path: str) -> None:
    assert refused(daemons.of("n1").ask("GET", path), "cannot")


def test_a_daemon_reads_what_it_works_with(daemons: Daemons) -> None:
    for path in (f"/apis/{API_VERSION}/topologies", RECORDS, f"{CRDS}/topologies.networkop.co.uk"):
        # A resource that was defined a moment ago is answered by "storage is (re)initializing".
        wait_for(lambda path=path: daemons.of("n1").ask("GET", path).status != 429, f"{path} to be served")
        assert daemons.of("n1").ask("GET", path).status == 200
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": NAMESPACE},
        "involvedObject": {"kind": "Topology", "name": "r1", "namespace": NAMESPACE, "apiVersion": API_VERSION},
    }
    assert daemons.of("n1").ask("POST", f"/api/v1/namespaces/{NAMESPACE}/events", event).status == 201


def test_the_readiness_gate_is_written_for_pods_of_the_own_node_alone(daemons: Daemons) -> None:
    gate = {"status": {"conditions": [{"type": "networkop.co.uk/links", "status": "True"}]}}
    pods = "/api/v1/namespaces/meshnet/pods"

    assert daemons.of("n1").ask("PATCH", f"{pods}/meshnet-n1/status", gate, STRATEGIC).status == 200
    assert refused(
        daemons.of("n1").ask("PATCH", f"{pods}/meshnet-n2/status", gate, STRATEGIC), "pods of that node alone"
    )
    for more in (
        {"conditions": [{"type": "Ready", "status": "True"}]},
        {"phase": "Failed"},
        {"podIPs": [{"ip": "192.0.2.1"}]},
        {"message": "x"},
        {"startTime": "2026-01-02T03:04:05Z"},
        {"containerStatuses": [{"name": "meshnet", "image": "none", "imageID": "", "ready": True, "restartCount": 0}]},
    ):
        answer = daemons.of("n1").ask("PATCH", f"{pods}/meshnet-n1/status", {"status": more}, STRATEGIC)
        assert refused(answer, "condition networkop.co.uk/links alone"), (more, answer)
    for theirs in ({"labels": {"a": "b"}}, {"annotations": {"a": "b"}}, {"finalizers": ["example.com/a"]}):
        for path, words in (("/status", "labels, annotations and finalizers"), ("", "cannot")):
            answer = daemons.of("n1").ask("PATCH", f"{pods}/meshnet-n1{path}", {**gate, "metadata": theirs}, MERGE)
            assert refused(answer, words), (theirs, path, answer)


def test_labels_annotations_and_finalizers_that_a_pod_has_stay_with_the_readiness_gate(daemons: Daemons) -> None:
    gate = {"status": {"conditions": [{"type": "networkop.co.uk/links", "status": "False"}]}}
    metadata = {"labels": {"a": "b"}, "annotations": {"a": "b"}, "finalizers": ["example.com/a"]}
    pod, path = "meshnet-n2", "/api/v1/namespaces/meshnet/pods/meshnet-n2/status"
    daemons.server.kubectl(
        "patch", "pod", pod, "-n", "meshnet", "--type=merge", "-p", json.dumps({"metadata": metadata})
    )
    before = daemons.server.get("pod", pod, "-n", "meshnet")["metadata"]
    try:
        for field in metadata:
            answer = daemons.of("n2").ask("PATCH", path, {**gate, "metadata": {field: None}}, MERGE)
            assert refused(answer, "labels, annotations and finalizers"), (field, answer)
        assert daemons.of("n2").ask("PATCH", path, gate, STRATEGIC).status == 200
        after = daemons.server.get("pod", pod, "-n", "meshnet")["metadata"]
        assert {field: after[field] for field in metadata} == {field: before[field] for field in metadata}
    finally:
        gone = json.dumps({"metadata": dict.fromkeys(metadata)})
        daemons.server.kubectl("patch", "pod", pod, "-n", "meshnet", "--type=merge", "-p", gone)
