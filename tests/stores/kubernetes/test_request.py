from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from meshnet.errors import InvalidObject
from meshnet.model.resource import Kind
from meshnet.stores.kubernetes.request import Place, Request, path_of

R1 = Place(Kind.TOPOLOGY, "lab", "r1")
N1 = Place(Kind.NODE, "", "n1")
TOPOLOGIES = "/apis/networkop.co.uk/v1beta1/namespaces/lab/topologies"
NODES = "/apis/networkop.co.uk/v1beta1/meshnodes"


@pytest.mark.parametrize(
    ("request_", "method", "path", "rbac"),
    [
        (R1.get(), "GET", f"{TOPOLOGIES}/r1", "get topologies"),
        (N1.get(), "GET", f"{NODES}/n1", "get meshnodes"),
        (R1.create({}), "POST", TOPOLOGIES, "create topologies"),
        (N1.create({}), "POST", NODES, "create meshnodes"),
        (R1.replace({}), "PUT", f"{TOPOLOGIES}/r1", "update topologies"),
        (R1.patch({}), "PATCH", f"{TOPOLOGIES}/r1", "patch topologies"),
        (R1.patch_status({}), "PATCH", f"{TOPOLOGIES}/r1/status", "patch topologies/status"),
        (R1.delete(), "DELETE", f"{TOPOLOGIES}/r1", "delete topologies"),
        (Place(Kind.TOPOLOGY, "lab").list(), "GET", TOPOLOGIES, "list topologies"),
        (Place(Kind.TOPOLOGY, "").list(), "GET", "/apis/networkop.co.uk/v1beta1/topologies", "list topologies"),
        (Place(Kind.NODE, "").list(), "GET", NODES, "list meshnodes"),
    ],
)
def test_what_is_asked(request_: Request, method: str, path: str, rbac: str) -> None:
    assert (request_.method, urlsplit(request_.path).path) == (method, path)
    assert f"{request_.verb} {request_.resource}" == rbac


def test_a_watch_asks_for_bookmarks_and_for_its_own_end() -> None:
    query = parse_qs(urlsplit(Place(Kind.TOPOLOGY, "").watch("77", 300).path).query)
    assert query == {
        "watch": ["1"],
        "allowWatchBookmarks": ["true"],
        "resourceVersion": ["77"],
        "timeoutSeconds": ["300"],
    }


def test_what_is_written() -> None:
    create, patch = R1.create({"spec": {"ü": 1}}), R1.patch_status({"status": {}})
    assert json.loads(create.body or b"") == {"spec": {"ü": 1}}
    assert (create.content_type, create.repeatable, create.urgent) == ("application/json", False, False)
    assert (patch.content_type, patch.repeatable, patch.urgent) == ("application/merge-patch+json", True, True)
    with pytest.raises(InvalidObject, match=r"Topology lab/r1: spec\.day"):
        R1.replace({"spec": {"day": b"x"}})


def test_no_name_leaves_its_place_in_a_path() -> None:
    assert path_of("/api/v1", "a/../b", "events", "x?y", limit=1) == (
        "/api/v1/namespaces/a%2F..%2Fb/events/x%3Fy?limit=1"
    )
