"""The commands on a cluster do what they do in a lab, with a kubeconfig alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cli import exitcodes
from tests.cluster.commands import Command
from tests.cluster.installation import NAMESPACE, daemon_of
from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios import daemons
from tests.cluster.scenarios.space import APART, CABLE
from tests.lab.scenarios.wiring import Cable, pod, topologies, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.scenarios.space import Space

WITHIN = Cable(2, "r2:eth2", "r3:eth1")
PLACES = {**APART, "r3": "n2"}


@pytest.fixture
def command(space: Space, tmp_path: Path) -> Command:
    """Commands whose kubeconfig names the namespace of the test."""
    return Command.of(space.cluster, tmp_path, space.name)


@pytest.fixture
def wired(space: Space, command: Command) -> Command:
    """Two links, one of them between nodes, made and waited for by the commands."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": _without_namespace(topologies([CABLE, WITHIN]))})
    said = command.run("apply", "-f", "-", stdin=text).stdout
    assert f"topology {space.name}/r1 created" in said
    space.start(PLACES)
    command.run("wait", "--for", "up", "--timeout", "100")
    return command


def as_created(found: dict[str, Any]) -> dict[str, Any]:
    """Return an object as it can be made again, without what the server fills in."""
    kept = ("name", "labels", "annotations")
    metadata = {field: value for field, value in found["metadata"].items() if field in kept}
    return {**found, "metadata": metadata}


def _without_namespace(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**each, "metadata": {"name": each["metadata"]["name"]}} for each in documents]


def shape(value: Any) -> Any:
    """What of a value is the same wherever it was asked: fields, and of a list its first."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


@pytest.fixture
def lab_links(tmp_path: Path) -> Iterator[list[dict[str, Any]]]:
    """The same links as a lab tells them."""
    name = f"cluster-cli-{os.getpid()}"
    path = write(tmp_path / "lab.yml", [*topologies([CABLE, WITHIN]), *map(pod, PLACES)])
    places = [word for name, node in PLACES.items() for word in ("--place", f"{name}={node}")]

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "meshnet", *words, "--lab", name]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=100).stdout

    try:
        run("lab", "up", "--nodes", "2", *places, str(path))
        yield json.loads(run("get", "links", "-o", "json"))
    finally:
        run("lab", "down")


def test_links_are_told_as_a_lab_tells_them(wired: Command, lab_links: list[dict[str, Any]], space: Space) -> None:
    found = list(wired.whole_links().values())
    assert [shape(link) for link in found] == [shape(link) for link in lab_links]
    for link, other in zip(found, lab_links, strict=True):
        assert (link["state"], link["driver"]) == (other["state"], other["driver"])
        assert [end["carrier"] for end in link["endpoints"]] == [True, True]
        assert [end["node"] for end in link["endpoints"]] == [end["node"] for end in other["endpoints"]]
        assert link["namespace"] == space.name
    assert wired.get("links", "r2:eth2")[0]["uid"] == WITHIN.uid
    assert [link["uid"] for link in wired.get("links", "r1")] == [CABLE.uid]
    assert {link["uid"] for link in wired.get("links", f"{space.name}/r1:eth1", "-n", "default")} == {CABLE.uid}


def test_a_cable_is_unplugged_and_plugged_in_again(wired: Command, space: Space) -> None:
    assert "unplugged" in wired.run("link", "down", "r1:eth1").stdout
    wired.run("wait", "--for", "down", "r2:eth1", "--timeout", "60")
    space.wait_carrier("r2", "0")
    links = wired.whole_links()
    assert [(links[uid]["state"], links[uid].get("reason")) for uid in (1, 2)] == [("Down", "Unplugged"), ("Up", None)]
    assert [end["carrier"] for end in links[1]["endpoints"]] == [False, False]
    assert wired.run("wait", "--for", "up", "--timeout", "1", code=exitcodes.FAILED).stderr.count("\n") == 1
    wired.run("link", "up", "r2:eth1")
    wired.run("wait", "--for", "up", "--timeout", "60")
    space.wait_linked()


def test_everything_else_that_is_shown(wired: Command, space: Space) -> None:
    assert {row["metadata"]["name"] for row in wired.get("topologies")} == set(PLACES)
    nodes = {row["name"]: row for row in wired.whole("get", "nodes")}
    assert {name: row["reachable"] for name, row in nodes.items()} == dict.fromkeys(("n1", "n2", "n3"), True)
    assert nodes["n1"]["daemon"] == "Running"
    assert "vxlan" in {driver["name"] for driver in nodes["n1"]["drivers"]}
    sandboxes = {row["pod"]: row for row in wired.whole("get", "sandboxes")}
    assert {name: len(row["ports"]) for name, row in sandboxes.items()} == {"r1": 1, "r2": 2, "r3": 1}
    drivers = wired.whole("get", "drivers", "veth")
    assert {(row["node"], row["state"]) for row in drivers} == {(node, "usable") for node in nodes}
    assert wired.get("events") == []
    assert wired.run("delete", "topology", "r3").stdout == f"topology {space.name}/r3 deleted\n"


def test_it_is_a_plugin_of_kubectl(wired: Command) -> None:
    rows = wired.as_plugin("get", "links").stdout.splitlines()
    assert [row.split()[:5] for row in rows[1:]] == [
        ["1", "r1:eth1", "r2:eth1", "vxlan", "Up"],
        ["2", "r2:eth2", "r3:eth1", "veth", "Up"],
    ]
    assert "`kubectl meshnet get --help`" in wired.as_plugin("get", code=exitcodes.WRONG_USE).stderr
    assert {row["node"] for row in wired.whole("drivers", plugin=True)} == {"n1", "n2", "n3"}


def test_a_node_without_its_daemon_is_stale_and_the_rest_is_told(wired: Command, space: Space) -> None:
    with daemons.away(space.cluster, "n2"):
        links = wired.links()
        assert [(links[uid]["state"], links[uid]["endpoints"][1]["stale"]) for uid in (1, 2)] == [("Up", True)] * 2
        wait_for(lambda: wired.links()[1]["endpoints"][0].get("carrier") is True, "the daemon of n1 to answer")
        assert {row["name"]: row["reachable"] for row in wired.get("nodes")}["n2"] is False
        assert {row["node"] for row in wired.get("sandboxes")} == {"n1"}
    wired.whole_links()


def test_a_daemon_that_hangs_is_not_waited_for_and_is_stale(wired: Command, space: Space) -> None:
    node = space.cluster.nodes["n2"]
    process = daemons.process_of(node)
    node.run("kill", "-STOP", process)
    try:
        ran = wired.run("get", "links", "-o", "json")
    finally:
        node.run("kill", "-CONT", process)
    link = next(link for link in json.loads(ran.stdout) if link["uid"] == CABLE.uid)
    here, there = link["endpoints"]
    assert (there["node"], there["stale"]) == ("n2", True)
    assert not there.keys() & {"carrier", "counters", "mtu"}
    assert here.get("stale") or here["carrier"] is True
    assert "not reached: n2 (n2: " in ran.stderr


def test_an_end_on_a_node_that_is_dead_to_its_peers_is_lost(wired: Command, space: Space) -> None:
    def lost() -> bool:
        links = wired.links()
        return all(links[uid].get("reason") == "NodeLost" for uid in (CABLE.uid, WITHIN.uid))

    space.cluster.fabric.cut("n2")
    try:
        wait_for(lost, "both links of n2 to be lost, that within n2 too")
        (link,) = wired.get("links", "r2:eth2")
        assert link["state"] == "Failed"
        assert [(end["state"], end["reason"], end["stale"]) for end in link["endpoints"]] == [
            ("Failed", "NodeLost", True)
        ] * 2
        ran = wired.run("wait", "--for", "up", "r2:eth2", "--timeout", "10", code=exitcodes.FAILED)
        assert "NodeLost" in ran.stderr
    finally:
        space.cluster.fabric.mend("n2")
    wired.run("wait", "--for", "up", "--timeout", "100")
    space.cluster.wait_nodes_ready("n2")


def test_who_may_only_read_topologies_sees_what_they_tell(wired: Command, space: Space, tmp_path: Path) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"}}
    rules = [{"apiGroups": ["networkop.co.uk"], "resources": ["topologies"], "verbs": ["get", "list"]}]
    subject = {"kind": "User", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    space.apply({**role, "rules": rules}, {**role, "kind": "RoleBinding", "roleRef": reference, "subjects": [subject]})
    (tmp_path / "reader").mkdir()
    reader = Command.of(space.cluster.user("reader"), tmp_path / "reader", space.name)

    wait_for(lambda: reader.run("get", "links", code=None).returncode == 0, "the role to be in force")
    reader.run("wait", "--for", "up", "--timeout", "30")  # what is written follows what the daemons know by seconds
    ran = reader.run("get", "links", "-o", "json")
    for link in json.loads(ran.stdout):
        assert link["state"] == "Up"
        assert [end["stale"] for end in link["endpoints"]] == [True, True]
    assert "may not list pods" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert "may not patch topologies" in reader.run("link", "down", "r1:eth1", code=exitcodes.UNREACHABLE).stderr


def findings(command: Command, *areas: str) -> dict[str, dict[str, str]]:
    return {one["about"]: one for one in command.doctor() if one["area"] in areas}


def test_doctor_finds_a_cluster_fit(wired: Command, mesh: Cluster) -> None:
    areas = ("cluster", "daemons", "nodes", "plugin", "drivers")

    def well() -> bool:
        return {one["outcome"] for one in findings(wired, *areas).values()} == {"ok"}

    wait_for(well, "doctor to find nothing wrong")
    abouts = {one["about"] for one in wired.doctor()}
    assert abouts >= {"API server", "schema", "admission policy", "rights", "DaemonSet", "versions", "records", "all"}
    assert abouts >= {f"node {node}" for node in mesh.nodes}


def test_doctor_says_what_is_wrong_and_what_to_do(wired: Command, space: Space) -> None:
    space.declare(Cable(1, "r1:eth1", "gone:eth1"), Cable(7, "alone:eth1", "r1:eth7"))
    space.delete("topology/gone")
    cluster = space.cluster
    binding = as_created(cluster.get("validatingadmissionpolicybinding", "meshnet-own-node"))
    crd = "crd/topologies.networkop.co.uk"
    mark = "networkop.co.uk/schema"
    number = cluster.get(crd)["metadata"]["annotations"][mark]
    cluster.kubectl("delete", "validatingadmissionpolicybinding", "meshnet-own-node")
    cluster.kubectl("annotate", crd, f"{mark}-")
    try:
        with daemons.away(cluster, "n3"):
            ran = wired.run("doctor", "-o", "json", code=exitcodes.FAILED)
    finally:
        cluster.kubectl("annotate", "--overwrite", crd, f"{mark}={number}")
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(binding))
    found = {one["about"]: one for one in json.loads(ran.stdout)}
    assert "topologies.networkop.co.uk" in found["schema"]["told"]
    assert found["admission policy"]["outcome"] == "fail"
    assert found["node n3"]["outcome"] == "fail"
    assert found[f"{space.name}/alone"]["told"] == "a Topology without a pod"
    assert "PeerMissing" in found[f"{space.name}/gone:eth1 - r1:eth1"]["told"]
    assert all(one["advice"] for one in found.values() if one["outcome"] != "ok")


def test_in_a_pod_it_is_the_service_account(wired: Command, space: Space) -> None:
    words = ("env", "-u", "MESHNET_STORE", "meshnet", "get", "topologies", "-n", space.name, "-o", "json")
    said = space.cluster.kubectl("exec", f"--namespace={NAMESPACE}", daemon_of(space.cluster, "n1"), "--", *words)
    assert [each["metadata"] for each in json.loads(said)] == [each["metadata"] for each in wired.get("topologies")]
