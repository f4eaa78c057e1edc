"""A real node and its container runtime, from the daemon's arrival to the uninstaller's work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster import pods
from tests.cluster.installation import DAEMONS, install, meshnet, remove, roll_out, uninstall
from tests.cluster.machine.commands import wait_for
from tests.cluster.machine.node_files import CONFLIST
from tests.image.build import BUILD_LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.machine.node import Node

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(BUILD_LIMIT_S + 600)]

LIST = "/etc/cni/net.d/00-meshnet.conflist"
PLUGIN = "/opt/cni/bin/meshnet"
NOWHERE = {"spec": {"template": {"spec": {"nodeSelector": {"meshnet-test": "nowhere"}}}}}
ANYWHERE = {"spec": {"template": {"spec": {"nodeSelector": {"meshnet-test": None}}}}}


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with the base applied, as the docs say; without a trace of it on any node afterwards."""
    install(cluster)
    yield cluster
    uninstall(cluster)
    remove(cluster)


def chained(node: Node) -> list[str]:
    path = node.path(LIST)
    if not path.exists():
        return []
    return [plugin["type"] for plugin in json.loads(path.read_text())["plugins"]]


def primary(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(node.path(CONFLIST).read_text())
    return found


def own(node: Node) -> list[str]:
    return [plugin["type"] for plugin in primary(node)["plugins"]]


def event(cluster: Cluster, name: str, words: str) -> bool:
    found = cluster.get("events", f"--field-selector=involvedObject.name={name}")["items"]
    return any(words in str(one.get("message")) for one in found)


def test_every_node_has_it_and_stays_ready(installed: Cluster) -> None:
    for node in installed.nodes.values():
        wait_for(lambda node=node: chained(node) == [*own(node), "meshnet"], f"{node.name}: the list")  # type: ignore[misc]
        assert json.loads(node.path(LIST).read_text())["cniVersion"] == primary(node)["cniVersion"]
        assert oct(node.path(LIST).stat().st_mode)[-3:] == "600"
    installed.wait_nodes_ready()
    installed.apply(pods.pod("plain", "n1"))
    pods.wait_ready(installed, "plain")
    pods.delete(installed, "plain")


def test_a_change_of_the_primary_is_followed(installed: Cluster) -> None:
    node = installed.node("n2")
    before = node.path(CONFLIST).read_text()
    changed = {**primary(node), "x-test": "changed"}
    node.path(CONFLIST).write_text(json.dumps(changed))
    wait_for(lambda: json.loads(node.path(LIST).read_text()).get("x-test") == "changed", "the change in our list")
    node.path(CONFLIST).write_text(before)
    wait_for(lambda: "x-test" not in json.loads(node.path(LIST).read_text()), "the change gone from our list")


def test_with_the_daemon_away_a_new_pod_waits_and_an_old_one_runs(installed: Cluster) -> None:
    installed.apply(pods.pod("old", "n1"))
    pods.wait_ready(installed, "old")
    meshnet(installed, "patch", DAEMONS, "--type=merge", "--patch", json.dumps(NOWHERE))
    meshnet(installed, "wait", "pod", "--selector=name=meshnet", "--for=delete", "--timeout=60s")
    installed.apply(pods.pod("new", "n1"))
    wait_for(lambda: event(installed, "new", "`meshnet cni uninstall`"), "error 11 among the pod's events")
    assert chained(installed.node("n1"))[-1:] == ["meshnet"]
    assert installed.get("pod", "old")["status"]["containerStatuses"][0]["restartCount"] == 0

    meshnet(installed, "patch", DAEMONS, "--type=merge", "--patch", json.dumps(ANYWHERE))

    pods.wait_ready(installed, "new", "old")
    roll_out(installed)
    pods.delete(installed, "old", "new")


def test_uninstall_leaves_the_other_networks_pods_as_they_are(installed: Cluster) -> None:
    installed.apply(pods.pod("old", "n3"))
    pods.wait_ready(installed, "old")
    before = installed.get("pod", "old")["status"]["podIP"]

    uninstall(installed)

    for node in installed.nodes.values():
        assert chained(node) == []
        assert not node.path(PLUGIN).exists()
        assert [path.name for path in node.path("/etc/cni/net.d").iterdir()] == [CONFLIST.rpartition("/")[2]]
    installed.apply(pods.pod("new", "n3"))
    pods.wait_ready(installed, "new", "old")
    assert installed.get("pod", "old")["status"]["podIP"] == before
    pods.delete(installed, "old", "new")
