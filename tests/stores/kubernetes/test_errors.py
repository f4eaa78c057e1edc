from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from meshnet.errors import Conflict, InvalidObject, NotFound, Problem, StoreUnavailable, WatchExpired
from meshnet.model.resource import Kind
from meshnet.stores.kubernetes.door import Answer
from meshnet.stores.kubernetes.errors import document_of, refusal
from meshnet.stores.kubernetes.exec import exec_request
from meshnet.stores.kubernetes.request import Place, Request
from tests.stores.kubernetes.server import status

R1 = Place(Kind.TOPOLOGY, "default", "r1")
GET = R1.get()
LIST = Place(Kind.TOPOLOGY, "").list()
CREATE = R1.create({"spec": {"links": [{"uid": -1}]}, "metadata": {"labels": {"a b": "c"}}})


def refused(request: Request, code: int, body: Any) -> Exception:
    data = body if isinstance(body, str) else json.dumps(body)
    return refusal(request, Answer(code, data.encode()), "https://server")


@pytest.mark.parametrize(
    ("request_", "code", "body", "error", "text"),
    [
        (GET, 404, status(404, "NotFound", kind="topologies", name="r1"), NotFound, "default/r1: does not exist"),
        (GET, 410, status(410, "Expired", "too old"), WatchExpired, "too old: list again"),
        (GET, 401, status(401, "Unauthorized"), StoreUnavailable, "the token or certificate is not valid"),
        (GET, 500, "oops", StoreUnavailable, "https://server answered 500 to get topologies: oops"),
        (GET, 400, "<html>", StoreUnavailable, "answered 400"),
        (GET, 400, status(400, "BadRequest", "no such"), StoreUnavailable, "answered 400 to get topologies: no such"),
        (LIST, 422, status(422, "Invalid", "no such"), StoreUnavailable, "answered 422 to list topologies: no such"),
        (CREATE, 409, status(409, "AlreadyExists"), Conflict, "Topology default/r1: exists already"),
        (CREATE, 409, status(409, "Conflict", "modified"), Conflict, "changed since it was read: modified"),
    ],
)
def test_what_an_answer_means(request_: Request, code: int, body: Any, error: type[Exception], text: str) -> None:
    told = refused(request_, code, body)
    assert type(told) is error
    assert text in str(told)


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        (GET, "404 page not found"),
        (GET, status(404, "NotFound")),
        (GET, status(404, "NotFound", kind="topologies", name="r2")),
        (GET, status(404, "NotFound", kind="namespaces", name="default")),
        (Place(Kind.TOPOLOGY, "").list(), status(404, "NotFound", kind="topologies")),
        (CREATE, status(404, "NotFound")),
    ],
)
def test_a_missing_resource_is_no_missing_object(request_: Request, body: Any) -> None:
    told = refused(request_, 404, body)
    assert type(told) is StoreUnavailable
    assert "no resource topologies.networkop.co.uk: kubectl apply" in str(told)


@pytest.mark.parametrize(
    "body", ["404 page not found", status(404, "NotFound", 'pods "n3" not found', kind="pods", name="n3")]
)
def test_what_is_missing_of_others_comes_with_no_manifest_of_ours(body: Any) -> None:
    told = refused(exec_request("meshnet", "meshnet-x", "meshnet", ["true"]), 404, body)
    assert type(told) is StoreUnavailable
    assert "https://server answered 404 to get pods/exec" in str(told)
    assert "networkop" not in str(told)


def test_a_list_with_an_object_that_is_nested_without_reason_is_read() -> None:
    nested = '{"a":' * 1500 + "1" + "}" * 1500
    body = '{"metadata": {"resourceVersion": "1"}, "items": [' + nested + ', {"kind": "Topology"}]}'
    document = document_of(Place(Kind.TOPOLOGY, "").list(), Answer(200, body.encode()), "https://server")
    assert document["items"][1] == {"kind": "Topology"}


def test_a_missing_namespace_is_the_documents_fault() -> None:
    told = refused(CREATE, 404, status(404, "NotFound", kind="namespaces", name="default"))
    assert isinstance(told, InvalidObject)
    (problem,) = told.problems
    assert (problem.path, problem.value) == ("metadata.namespace", "default")
    assert "kubectl create namespace" in problem.right


def test_so_is_one_that_is_being_deleted() -> None:
    body = status(
        403, "Forbidden", "no more", causes=[{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]
    )
    told = refused(CREATE, 403, body)
    assert isinstance(told, InvalidObject)
    assert "being deleted (no more)" in str(told)


def test_what_is_forbidden_names_the_rule_that_is_missing() -> None:
    told = refused(R1.patch_status({}), 403, status(403, "Forbidden", 'User "x" cannot'))
    assert isinstance(told, StoreUnavailable)
    assert 'may not patch topologies/status: an RBAC rule, or an admission policy, must allow it (User "x"' in str(told)


@pytest.mark.parametrize(
    ("message", "field", "problem"),
    [
        (
            "Invalid value: -1: spec.links[0].uid in body should be greater than or equal to 0",
            "spec.links[0].uid",
            Problem("spec.links[0].uid", -1, "should be greater than or equal to 0"),
        ),
        (
            'Invalid value: "object": must not be eth0',
            "spec.links[0]",
            Problem("spec.links[0]", {"uid": -1}, "must not be eth0"),
        ),
        ("Required value", "spec.links[0].peer_pod", Problem("spec.links[0].peer_pod", None, "must be given")),
        ("Required value: name it", "spec.name", Problem("spec.name", None, "name it")),
        ('Unsupported value: "x": supported values: "a"', "spec.x", Problem("spec.x", None, 'supported values: "a"')),
        (
            'Duplicate value: map[string]interface {}{"local_intf":"eth1"}',
            "spec.links[1]",
            Problem("spec.links[1]", None, "must be there once"),
        ),
        (
            "Too many: 5000: must have at most 4096 items",
            "spec.l",
            Problem("spec.l", None, "must have at most 4096 items"),
        ),
        ("Forbidden: is immutable", "spec.x", Problem("spec.x", None, "is immutable")),
        ("something else: entirely", "spec.x", Problem("spec.x", None, "something else: entirely")),
    ],
)
def test_a_cause_is_a_problem(message: str, field: str, problem: Problem) -> None:
    body = status(422, "Invalid", causes=[{"reason": "FieldValueInvalid", "message": message, "field": field}])
    told = refused(CREATE, 422, body)
    assert isinstance(told, InvalidObject)
    assert [str(each) for each in told.problems] == [str(problem)]


def test_without_the_document_the_server_tells_the_value() -> None:
    cause = {"message": 'Invalid value: "a b": must be a label', "field": "metadata.labels"}
    told = refused(attrs.evolve(CREATE, document=None), 422, status(422, "Invalid", causes=[cause]))
    assert isinstance(told, InvalidObject)
    assert str(*told.problems) == str(Problem("metadata.labels", "a b", "must be a label"))


def test_what_is_too_long_is_told_in_a_few_words() -> None:
    """The server judges all annotations as one, of which the applied object may have a quarter of a megabyte."""
    request = R1.create({"metadata": {"annotations": {"a": "x" * 300_000, "b": "y"}}})
    cause = {"message": "Too long: may not be more than 262144 bytes", "field": "metadata.annotations"}
    told = str(refused(request, 422, status(422, "Invalid", causes=[cause])))
    assert told.startswith("Topology default/r1: metadata.annotations: {'a': 'xxx")
    assert told.endswith("may not be more than 262144 bytes")
    assert len(told) < 1000


def test_a_policy_that_names_no_field() -> None:
    told = refused(CREATE, 422, status(422, "Invalid", "ValidatingAdmissionPolicy 'p' denied request"))
    assert isinstance(told, InvalidObject)
    assert str(told) == "Topology default/r1: object: ValidatingAdmissionPolicy 'p' denied request"
