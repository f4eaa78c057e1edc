"""Pods that are no daemons try what only daemons may."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshnet import __version__
from meshnet.model.resource import API_VERSION
from tests.cluster.installation import NAMESPACE, daemon_of, meshnet
from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios.space import APART, CABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.scenarios.space import Space

IMAGE = f"meshnet:{__version__}"
PROGRAMS = Path(__file__).parent / "programs"
RECEIVED = "/sys/class/net/eth1/statistics/rx_packets"
FRAMES = 20
RECORDS = f"/apis/{API_VERSION}/meshnodes"


def stranger(name: str, namespace: str, node: str, **spec: Any) -> dict[str, Any]:
    """A pod on the cluster's network that has all that a daemon is made of, and no right."""
    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "Never", "command": ["sleep", "infinity"]}
    whole = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole}


def run(cluster: Cluster, pod: str, namespace: str, program: str, *arguments: str, stdin: str = "") -> str:
    """Run a program of ours in a pod."""
    text = (PROGRAMS / program).read_text()
    command = ("exec", "--stdin", pod, f"--namespace={namespace}", "--", "python3", "-c", text, *arguments)
    return cluster.kubectl(*command, stdin=stdin)


def call(cluster: Cluster, pod: str, namespace: str, *, name: str, identity: str) -> dict[str, str]:
    """Have a pod call the daemon of n2 as a node of some name."""
    record = cluster.get("meshnode", "n2")["spec"]
    where = (record["addresses"][0], str(record["port"]), "n2", record["certificates"][0])
    answer: dict[str, str] = json.loads(run(cluster, pod, namespace, "call_daemon.py", *where, name, identity))
    return answer


def test_a_pod_has_no_word_with_a_daemon(space: Space) -> None:
    space.wire(CABLE, places=APART)
    space.apply(stranger("stranger", space.name, "n1"))
    space.wait_running("stranger")

    for name in ("n1", "n9"):
        found = call(space.cluster, "stranger", space.name, name=name, identity=f"/tmp/{name}")
        assert {found["Session"], found["Stream"]} <= {"UNAVAILABLE", "UNAUTHENTICATED"}, found
        assert (found["plain"], found["nameless"]) == ("", "")

    # the same words, said by who is n1
    there = daemon_of(space.cluster, "n1")
    known = call(space.cluster, there, NAMESPACE, name="n1", identity="/var/lib/meshnet/identity")
    assert known["Session"] == "answered"
    space.wait_linked()


def test_frames_of_a_pod_reach_no_link(space: Space) -> None:
    space.wire(CABLE, places=APART)
    space.apply(stranger("stranger", space.name, "n1"))
    space.wait_running("stranger")
    (link,) = space.status("r2")["links"]
    to = (space.cluster.nodes["n2"].address, "51111", str(link["receive_id"]), str(FRAMES))
    before = received(space)

    run(space.cluster, "stranger", space.name, "send_vxlan.py", *to)

    assert space.pings("r1", CABLE.addresses[1])
    assert received(space) - before < FRAMES
    # the same frames from the node that the link comes from
    space.cluster.nodes["n1"].run("python3", "-c", (PROGRAMS / "send_vxlan.py").read_text(), *to)
    wait_for(lambda: received(space) - before >= FRAMES, "frames of n1 to come in")


def received(space: Space) -> int:
    return int(space.inside("r2", "cat", RECEIVED))


@pytest.fixture
def thief(mesh: Cluster) -> Iterator[str]:
    """A pod on n1 with the daemons' service account: its token is like that of n1's daemon."""
    mesh.apply(stranger("thief", NAMESPACE, "n1", serviceAccountName="meshnet"))
    meshnet(mesh, "wait", "pod/thief", "--for=condition=Ready", "--timeout=120s")
    yield "thief"
    meshnet(mesh, "delete", "pod", "thief", "--timeout=60s")


def test_the_daemons_token_of_one_node_is_good_for_nothing_of_another(space: Space, thief: str) -> None:
    space.wire(CABLE, places=APART)
    own, other = (space.cluster.get("meshnode", name) for name in ("n1", "n2"))
    other["spec"]["certificates"] = own["spec"]["certificates"]
    topologies = f"/apis/{API_VERSION}/namespaces/{space.name}/topologies"
    refused = [
        ["PUT", f"{RECORDS}/n2", other],
        ["POST", RECORDS, {**own, "metadata": {"name": "n9"}}],
        ["DELETE", f"{RECORDS}/n2", None],
        ["PATCH", f"{topologies}/r2/status", {"status": {"node": "n3"}}],
        ["PATCH", f"{topologies}/r2/status", {"status": {"links": []}}],
        ["PATCH", f"{topologies}/r2", {"spec": {"links": []}}],
        ["DELETE", f"{topologies}/r2", None],
        ["GET", "/api/v1/secrets", None],
        ["GET", "/api/v1/pods", None],
        ["GET", "/api/v1/nodes/n1", None],
        ["POST", f"/api/v1/namespaces/{space.name}/pods", stranger("more", space.name, "n2")],
        ["PATCH", f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/meshnet", {"metadata": {"labels": {"a": "b"}}}],
    ]
    allowed = [["GET", RECORDS, None], ["GET", topologies, None], ["PUT", f"{RECORDS}/n1?dryRun=All", own]]

    answers = json.loads(run(space.cluster, thief, NAMESPACE, "ask_api.py", stdin=json.dumps([*refused, *allowed])))

    for (method, path, _), (code, message) in zip(refused, answers, strict=False):
        assert code in {403, 422}, (method, path, code, message)
    assert "the daemon of node n1 may write the record of that node alone, not of n2" in answers[0][1]
    assert [code for code, _ in answers[len(refused) :]] == [200, 200, 200]
    space.wait_linked()
