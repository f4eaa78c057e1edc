"""What the page on security says of a cluster, and no other test tries, is true on a real API server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import yaml

from meshnet.model.resource import API_VERSION
from tests.cluster.resources import BASE, LINK
from tests.docs.pages import SECURITY, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster

LIMIT_S = 60.0
CLOSED, OPEN = "no-node-interfaces", "with-node-interfaces"
NODES_OWN = {**LINK, "peer_pod": "localhost", "peer_intf": "eth0"}


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> Iterator[ApiServer]:
    """With the page's policy in force, and two namespaces, one of them with the label."""
    api_server.apply_directory(BASE)
    api_server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/topologies.networkop.co.uk")
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
              for name, labels in ((CLOSED, {}), (OPEN, {"node-interfaces": ""}))]  # fmt: skip
    api_server.apply(*spaces)
    (block,) = blocks(SECURITY, "yaml")
    policy = list(yaml.safe_load_all(block.text))
    api_server.apply(*policy)
    end = time.monotonic() + LIMIT_S
    while try_links(api_server, CLOSED, [NODES_OWN]) == "":
        assert time.monotonic() < end, "waited for the policy to be in force"
        time.sleep(0.2)
    yield api_server
    for each in policy:
        api_server.kubectl("delete", each["kind"], each["metadata"]["name"])


def try_links(server: ApiServer, namespace: str, links: list[dict[str, object]] | None) -> str:
    """Apply a Topology without keeping it; return what the server has against it."""
    metadata = {"name": "r1", "namespace": namespace}
    document = {"apiVersion": API_VERSION, "kind": "Topology", "metadata": metadata, "spec": {"links": links}}
    text = yaml.safe_dump(document)
    return server.try_kubectl("create", "--dry-run=server", "-f", "-", stdin=text).stderr


def test_the_policy_refuses_interfaces_of_nodes_where_the_namespace_has_no_label(server: ApiServer) -> None:
    assert "peer_pod must not be localhost" in try_links(server, CLOSED, [LINK, {**NODES_OWN, "local_intf": "eth2"}])
    assert try_links(server, OPEN, [NODES_OWN]) == ""


@pytest.mark.parametrize("links", [None, [], [LINK]], ids=["null", "none", "one"])
def test_the_policy_lets_all_other_topologies_in(server: ApiServer, links: list[dict[str, object]] | None) -> None:
    assert try_links(server, CLOSED, links) == ""


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_roles_for_people_do_not_hold_the_resources(server: ApiServer, role: str) -> None:
    """They are put together from those with a label."""
    parts = server.get("clusterroles", f"--selector=rbac.authorization.k8s.io/aggregate-to-{role}=true")["items"]
    groups = {group for part in parts for rule in part["rules"] or () for group in rule.get("apiGroups", ())}

    assert groups
    assert not {"networkop.co.uk", "*"} & groups
