import json

from meshnet.model.resource import Kind
from meshnet.stores.kubernetes.beside import STRATEGIC_MERGE_PATCH, definition_request, pod_condition_request, timed


def test_a_definition_is_read_by_its_name():
    request = definition_request(Kind.NODE)

    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/meshnodes.networkop.co.uk"
    assert (request.method, request.path, request.name) == ("GET", path, "meshnodes.networkop.co.uk")


def test_a_condition_goes_to_the_status_of_that_very_pod():
    condition = {"type": "networkop.co.uk/links", "status": "True"}
    request = pod_condition_request("lab", "r1", "u-1", condition)

    assert request.path.partition("?")[0] == "/api/v1/namespaces/lab/pods/r1/status"
    assert (request.method, request.content_type) == ("PATCH", STRATEGIC_MERGE_PATCH)
    assert json.loads(request.body) == {"metadata": {"uid": "u-1"}, "status": {"conditions": [condition]}}
    assert "metadata" not in json.loads(pod_condition_request("lab", "r1", "", condition).body)


def test_a_condition_without_its_time_has_that_which_stands_while_its_status_does() -> None:
    condition = {"type": "networkop.co.uk/links", "status": "False", "reason": "TopologyMissing"}
    before = "2026-01-02T03:04:05Z"

    def since(**standing: str) -> str:
        rows = [{"type": "Ready", "status": "False", "lastTransitionTime": "another"}, {**condition, **standing}]
        return timed(condition, {"status": {"conditions": rows}})["lastTransitionTime"]

    assert since(lastTransitionTime=before, reason="LinksReady") == before
    assert since(lastTransitionTime=before, status="True") > before
    assert since() > before
    assert timed(condition, {})["lastTransitionTime"] > before
