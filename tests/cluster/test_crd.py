"""Our resources on a real API server: people can read them, what is not known stays, and old objects live on."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
import yaml

from meshnet.model.resource import API_VERSION
from tests.cluster.direct import Direct
from tests.cluster.machine.api_server import lone_api_server
from tests.cluster.resources import BASE, LINK, MERGE, NAMESPACE, TOPOLOGIES, made, namespace_for, prepared, tried

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.api_server import ApiServer
    from tests.cluster.machine.binaries import Binaries

pytestmark = pytest.mark.cluster

LIMIT_S = 60.0
MINIMAL = {"apiVersion": API_VERSION, "kind": "Topology", "metadata": {"name": "r1"}}


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    prepared(api_server)
    namespace_for(api_server)
    return api_server


@pytest.fixture(scope="module")
def api(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    direct = Direct(server.kubeconfig, tmp_path_factory.mktemp("direct"))
    yield direct
    direct.close()


def test_what_is_not_known_stays_as_it_is(api: Direct) -> None:
    spec = {"future": [{"a": None}], "links": [{**LINK, "impairment": {"delay": "1ms"}, "options": {"a": [None, 1]}}]}
    made(api, "unknown", spec=spec, extra={"b": None})
    status = {"skipped": None, "plumbing_error": "x", "links": [{"local_intf": "eth1", "more": [1]}]}
    api.ask("PATCH", f"{TOPOLOGIES}/unknown/status", {"status": {**status, "skipped": ["r2"]}}, MERGE)

    found = api.ask("GET", f"{TOPOLOGIES}/unknown").document

    assert (found["spec"], found["extra"]) == (spec, {"b": None})
    assert found["status"] == {**status, "skipped": ["r2"]}


def test_a_status_is_written_by_itself_and_the_generation_stays(api: Direct) -> None:
    made(api, "apart", spec={"links": [LINK]}, status={"node": "n9"})
    patch = {"metadata": {"labels": {"a": "b"}}, "spec": {"links": []}, "status": {"node": "n1", "epoch": 3}}

    found = api.ask("PATCH", f"{TOPOLOGIES}/apart/status", patch, MERGE).document

    assert found["status"] == {"node": "n1", "epoch": 3}
    assert (found["spec"], found["metadata"]["generation"]) == ({"links": [LINK]}, 1)
    assert "labels" not in found["metadata"]


def test_people_see_how_it_is(server: ApiServer, api: Direct) -> None:
    made(api, "seen", spec={"links": [LINK]})
    ready = {"type": "Ready", "status": "True", "reason": "LinksReady", "message": "1 links ready"}
    condition = {**ready, "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": 1}
    status = {"node": "n1", "links_ready": "3/4", "conditions": [condition]}
    api.ask("PATCH", f"{TOPOLOGIES}/seen/status", {"status": status}, MERGE)

    header, row = server.kubectl("get", "topo", "seen", "-n", NAMESPACE).splitlines()

    assert header.split() == ["NAME", "READY", "LINKS", "NODE", "AGE"]
    assert row.split()[:4] == ["seen", "True", "3/4", "n1"]
    server.kubectl("wait", "--for=condition=Ready", "topology/seen", "-n", NAMESPACE, "--timeout=20s")
    wide = server.kubectl("get", "topo", "seen", "-n", NAMESPACE, "-o", "wide")
    assert "LinksReady" in wide
    assert "interface in this pod" in server.kubectl("explain", "topology.spec.links.local_intf")


def test_two_people_may_own_a_link_each(server: ApiServer) -> None:
    """Server-side apply merges links by their interface."""
    for number, owner in ((1, "one"), (2, "other")):
        link = {**LINK, "uid": number, "local_intf": f"eth{number}"}
        document = {
            "apiVersion": API_VERSION,
            "kind": "Topology",
            "metadata": {"name": "shared", "namespace": NAMESPACE},
            "spec": {"links": [link]},
        }
        server.kubectl("apply", "--server-side", f"--field-manager={owner}", "-f", "-", stdin=json.dumps(document))

    links = server.get("topology", "shared", "-n", NAMESPACE)["spec"]["links"]
    assert [link["local_intf"] for link in links] == ["eth1", "eth2"]


def test_a_null_in_a_link_counts_as_absent_but_not_where_the_server_applies(api: Direct) -> None:
    """As docs/kubernetes/manifests.md tells: such nulls the server drops from all other requests."""
    document = {**MINIMAL, "metadata": {"name": "nulls"}, "spec": {"links": [{**LINK, "driver": None, "mtu": None}]}}
    applied = api.ask("PATCH", f"{TOPOLOGIES}/nulls?fieldManager=flux", document, "application/apply-patch+yaml")

    assert made(api, "nulls", spec=document["spec"])["spec"] == {"links": [LINK]}
    assert {"spec.links[0].driver", "spec.links[0].mtu"} <= set(applied.fields)
    no_links = {**MINIMAL, "metadata": {"name": "applied-null"}, "spec": {"links": None}}
    answer = api.ask("PATCH", f"{TOPOLOGIES}/applied-null?fieldManager=flux", no_links, "application/apply-patch+yaml")
    assert answer.status == 201, answer.message


def test_records_of_nodes_are_shown(server: ApiServer) -> None:
    spec = {"addresses": ["192.0.2.1", "192.0.2.2"], "version": "1.0", "default_driver": "wire", "link_mtu": 1450}
    record = {"apiVersion": API_VERSION, "kind": "MeshNode", "metadata": {"name": "n1"}, "spec": {**spec, "more": [1]}}
    server.apply(record)

    header, row = server.kubectl("get", "meshnodes").splitlines()

    assert header.split() == ["NAME", "ADDRESS", "VERSION", "DRIVER", "MTU", "AGE"]
    assert row.split()[:5] == ["n1", "192.0.2.1", "1.0", "wire", "1450"]
    assert server.get("meshnode", "n1")["spec"]["more"] == [1]


def test_upstreams_records_are_readable_and_can_be_removed(server: ApiServer) -> None:
    status = {"grpcWireItems": [{"node_name": "n1", "link_id": 1, "gwire_peer_node_ip": "192.0.2.2"}]}
    server.apply({
        "apiVersion": API_VERSION,
        "kind": "GWireKObj",
        "metadata": {"name": "n1", "namespace": NAMESPACE},
        "spec": {"uids": [1]},
        "status": status,
    })  # fmt: skip

    assert server.get("gwirekobj", "n1", "-n", NAMESPACE)["status"] == status
    server.kubectl("delete", "gwirekobjs", "--all", "--all-namespaces")
    assert server.get("gwirekobjs", "-A")["items"] == []


@pytest.fixture(scope="module")
def upgraded(binaries: Binaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Direct]:
    """A server with a Topology that was made under a schema without rules, as upstream's is, and then got ours."""
    with lone_api_server(binaries) as server:
        ours = yaml.safe_load((BASE / "crd.yaml").read_text())
        lax = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        (version,) = ours["spec"]["versions"]
        before = {**version, "schema": {"openAPIV3Schema": lax}}
        server.apply({**ours, "spec": {**ours["spec"], "versions": [before]}})
        server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/topologies.networkop.co.uk")
        namespace_for(server)
        direct = Direct(server.kubeconfig, tmp_path_factory.mktemp("upgraded"))
        made(direct, "old", spec={"links": [{**LINK, "local_intf": "eth0"}, {**LINK, "uid": -1}]})
        server.kubectl("apply", "-f", str(BASE / "crd.yaml"))
        # the server takes a new schema into use a moment later
        end = time.monotonic() + LIMIT_S
        while tried(direct, {**MINIMAL, "spec": {"links": "none"}}).status != 422:
            assert time.monotonic() < end, "waited for the new schema"
            time.sleep(0.1)
        yield direct
        direct.close()


def test_what_was_wrong_before_still_gets_a_status(upgraded: Direct) -> None:
    """A daemon can say what is wrong with it, and labels can be edited; what is edited must be right."""
    status = {"node": "n1", "conditions": [{"type": "Ready", "status": "False", "reason": "InvalidTopology"}]}

    written = upgraded.ask("PATCH", f"{TOPOLOGIES}/old/status", {"status": status}, MERGE)
    labelled = upgraded.ask("PATCH", f"{TOPOLOGIES}/old", {"metadata": {"labels": {"a": "b"}}}, MERGE)
    again = upgraded.ask("PATCH", f"{TOPOLOGIES}/old", {"spec": {"links": [{**LINK, "local_intf": "lo"}]}}, MERGE)
    right = upgraded.ask("PATCH", f"{TOPOLOGIES}/old", {"spec": {"links": [LINK]}}, MERGE)

    assert [written.status, labelled.status, again.status, right.status] == [200, 200, 422, 200]
    assert again.fields == ["spec.links[0].local_intf"]
