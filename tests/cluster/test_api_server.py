"""A lone API server: what other tests rely on."""

from __future__ import annotations

import json
import socket
import ssl
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine.api_server import lone_api_server
from tests.lab.machine import processes

if TYPE_CHECKING:
    from tests.cluster.machine.api_server import ApiServer
    from tests.cluster.machine.binaries import Binaries

pytestmark = pytest.mark.cluster


def test_it_is_the_kubernetes_that_is_pinned(api_server: ApiServer) -> None:
    assert json.loads(api_server.kubectl("get", "--raw=/version"))["gitVersion"] == "v1.34.4"


def test_a_plain_client_of_this_namespace_reaches_it(api_server: ApiServer) -> None:
    context = ssl.create_default_context(cafile=str(api_server.ca))
    with urllib.request.urlopen(f"{api_server.url}/readyz", context=context, timeout=30) as response:
        assert response.read() == b"ok"


def test_who_has_no_role_may_nothing(api_server: ApiServer) -> None:
    nobody = api_server.user("nobody", "a/group")
    assert "nobody" in nobody.kubectl("auth", "whoami")
    refused = nobody.try_kubectl("get", "namespaces")
    assert refused.returncode != 0
    assert 'User "nobody" cannot list resource "namespaces"' in refused.stderr


def test_a_token_is_its_service_account(api_server: ApiServer) -> None:
    api_server.kubectl("create", "namespace", "tokens")
    api_server.kubectl("create", "serviceaccount", "agent", "-n", "tokens")
    agent = api_server.bearer(api_server.token("tokens", "agent"))
    assert "system:serviceaccount:tokens:agent" in agent.kubectl("auth", "whoami")


def test_a_token_bound_to_a_pod_names_its_node(api_server: ApiServer) -> None:
    api_server.kubectl("create", "namespace", "bound")
    api_server.kubectl("create", "serviceaccount", "agent", "-n", "bound")
    pod = {"serviceAccountName": "agent", "nodeName": "n7", "containers": [{"name": "main", "image": "none"}]}
    api_server.apply(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n7"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "bound"}, "spec": pod},
    )
    token = api_server.token("bound", "agent", "--bound-object-kind=Pod", "--bound-object-name=p")
    whoami = json.loads(api_server.bearer(token).kubectl("auth", "whoami", "-o", "json"))
    assert whoami["status"]["userInfo"]["extra"]["authentication.kubernetes.io/node-name"] == ["n7"]


def test_every_request_is_in_the_audit_log(api_server: ApiServer) -> None:
    api_server.kubectl("create", "configmap", "noted", "-n", "default")
    found = [event for event in api_server.audit() if event.get("objectRef", {}).get("name") == "noted"]
    assert [event["verb"] for event in found] == ["create"]


def test_it_can_be_away_and_keeps_what_it_had(binaries: Binaries) -> None:
    with lone_api_server(binaries) as server:
        server.kubectl("create", "namespace", "kept")
        with server.away():
            assert server.try_kubectl("get", "namespaces").returncode != 0
        assert server.get("namespace", "kept")["metadata"]["name"] == "kept"


def test_nothing_is_left_of_it(binaries: Binaries) -> None:
    with lone_api_server(binaries) as server:
        directory = server.kubeconfig.parent
        assert processes(directory.name)
    assert not processes(directory.name)
    assert not Path(directory).exists()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", int(server.url[-5:]))):
        pass
