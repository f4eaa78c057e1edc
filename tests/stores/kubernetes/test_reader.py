from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.errors import NotFound, StoreUnavailable
from meshnet.stores.kubernetes.reader import Reader, service_account_groups
from tests.stores.kubernetes.server import HANG_UP, Reply, Server, status

if TYPE_CHECKING:
    from pathlib import Path


def test_objects_and_lists(tmp_path: Path) -> None:
    with Server(Reply(body={"kind": "Pod"}), Reply(body={"items": [{"kind": "Pod"}]})) as server:
        reader = Reader(server.access(tmp_path))
        assert reader.get("/api/v1", "meshnet", "pods", "x") == {"kind": "Pod"}
        assert reader.list("/api/v1", "", "pods", labelSelector="name=meshnet") == [{"kind": "Pod"}]
        reader.close()
    paths = [asked.path for asked in server.asked]
    assert paths == ["/api/v1/namespaces/meshnet/pods/x", "/api/v1/pods?labelSelector=name%3Dmeshnet"]


def test_who_may_what_is_asked_for_an_account_with_its_groups(tmp_path: Path) -> None:
    with Server(Reply(201, {"status": {"allowed": True}}), Reply(201, {"status": {}})) as server:
        reader = Reader(server.access(tmp_path))
        assert reader.may("system:serviceaccount:meshnet:meshnet", "patch", "networkop.co.uk", "topologies/status")
        assert not reader.may("somebody", "list", "", "events")
        reader.close()
    first, second = (json.loads(asked.body)["spec"] for asked in server.asked)
    wanted = {"verb": "patch", "group": "networkop.co.uk", "resource": "topologies", "subresource": "status"}
    assert first["resourceAttributes"] == wanted
    assert "system:serviceaccounts:meshnet" in first["groups"]
    assert second["groups"] == service_account_groups("somebody") == ["system:authenticated"]


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        (Reply(404, status(404, "NotFound", kind="pods", name="x")), NotFound, "pods meshnet/x: does not exist"),
        (Reply(403, status(403, "Forbidden")), StoreUnavailable, "may not get pods"),
        (Reply(body=[1]), StoreUnavailable, "no JSON object"),
        (Reply(body="nonsense"), StoreUnavailable, "no JSON object"),
        (HANG_UP, StoreUnavailable, "pods meshnet/x: get pods at the API server"),
    ],
)
def test_refusals_are_our_errors(reply: Any, kind: type[Exception], told: str, tmp_path: Path) -> None:
    with Server(reply) as server, pytest.raises(kind, match=told):
        Reader(server.access(tmp_path)).get("/api/v1", "meshnet", "pods", "x")


def test_the_version(tmp_path: Path) -> None:
    with Server(Reply(body={"gitVersion": "v1.34.4"})) as server:
        assert Reader(server.access(tmp_path)).version() == "v1.34.4"
