"""The cluster itself: what other tests rely on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster import pods
from tests.cluster.machine import bringup, cgroups, record
from tests.cluster.machine.binaries import find_binaries
from tests.cluster.machine.bringup import temporary_cluster
from tests.cluster.machine.cluster import down, find
from tests.cluster.machine.commands import wait_for
from tests.cluster.machine.errors import ClusterError
from tests.cluster.machine.filesystem import KUBELET_WANTS
from tests.lab.machine import processes, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.binaries import Binaries
    from tests.cluster.machine.cluster import Cluster

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def three(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with a pod on each node; the second serves a page."""
    serve = ("sh", "-c", "mkdir /www; echo hello >/www/index.html; exec httpd -f -h /www")
    commands = dict.fromkeys(NAMES, ()) | {"two": serve}
    cluster.apply(*(pods.pod(name, node, *commands[name]) for name, node in zip(NAMES, cluster.nodes, strict=True)))
    pods.wait_ready(cluster, *NAMES)
    yield cluster
    pods.delete(cluster, *NAMES)


def is_ready(cluster: Cluster, node: str) -> str:
    conditions = cluster.get("node", node)["status"]["conditions"]
    return next(str(one["status"]) for one in conditions if one["type"] == "Ready")


def restarts(cluster: Cluster, name: str) -> int:
    (status,) = cluster.get("pod", name)["status"]["containerStatuses"]
    return int(status["restartCount"])


def test_three_nodes_are_ready_and_are_what_is_pinned(cluster: Cluster) -> None:
    nodes = cluster.get("nodes")["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["n1", "n2", "n3"]
    for node in nodes:
        assert is_ready(cluster, node["metadata"]["name"]) == "True"
        info = node["status"]["nodeInfo"]
        assert (info["kubeletVersion"], info["containerRuntimeVersion"]) == ("v1.34.4", "containerd://2.2.9")


def test_a_pod_pings_a_pod_of_another_node(three: Cluster) -> None:
    for name in ("two", "three"):
        said = three.kubectl("exec", "one", "--", "ping", "-c", "3", "-W", "5", pods.address(three, name))
        assert "3 packets received" in said


def test_a_service_leads_to_its_pod_from_every_node(three: Cluster) -> None:
    three.kubectl("expose", "pod", "two", "--port=80")
    address = three.get("service", "two")["spec"]["clusterIP"]
    for name in NAMES:
        fetch = ("exec", name, "--", "timeout", "5", "wget", "-q", "-O", "-", f"http://{address}/")
        wait_for(lambda fetch=fetch: three.try_kubectl(*fetch).stdout == "hello\n", f"{name} to reach two")  # type: ignore[misc]
    three.kubectl("delete", "service", "two")


def test_every_pod_has_the_nodes_runtime_call_its_cni_chain(three: Cluster) -> None:
    assert pods.address(three, "one").startswith("10.244.1.")
    leases = three.nodes["n1"].run("ls", "/var/lib/cni/networks/primary").split()
    assert pods.address(three, "one") in leases


def test_a_pod_is_in_its_nodes_own_control_groups(three: Cluster) -> None:
    for top in cgroups.tops(three.name):
        groups = (top / "n1" / "kubepods").rglob("cgroup.procs")
        assert any(group.read_text() for group in groups), top


def test_a_killed_kubelet_and_containerd_come_back_and_pods_stay(three: Cluster) -> None:
    node = three.nodes["n2"]
    for daemon in ("kubelet", "containerd"):
        before = node.request("kill", daemon)
        wait_for(lambda: node.request("pid", daemon) not in {"", before}, f"{daemon} to be started again")  # noqa: B023
    wait_for(lambda: three.try_kubectl("exec", "two", "--", "true").returncode == 0, "pod two to be reached again")
    assert restarts(three, "two") == 0
    three.wait_nodes_ready("n2")


def test_a_stopped_kubelet_stays_away_until_it_is_started(cluster: Cluster) -> None:
    node = cluster.nodes["n3"]
    node.request("stop", "kubelet")
    wait_for(lambda: is_ready(cluster, "n3") == "Unknown", "node n3 to be not ready")
    assert node.request("pid", "kubelet") == ""
    node.request("start", "kubelet")
    cluster.wait_nodes_ready("n3")


def test_a_node_without_power_is_not_ready_and_comes_back_with_its_disk_and_pods(three: Cluster) -> None:
    node = three.nodes["n1"]
    node.run("sh", "-c", "echo kept >/opt/of-the-node")
    node.power_off()
    wait_for(lambda: is_ready(three, "n1") == "Unknown", "node n1 to be not ready")
    assert [is_ready(three, name) for name in ("n2", "n3")] == ["True", "True"]
    node.power_on()
    three.wait_nodes_ready("n1")
    wait_for(lambda: restarts(three, "one") == 1, "pod one to be started again")
    pods.wait_ready(three, "one")
    assert node.run("cat", "/opt/of-the-node") == "kept\n"
    assert "1 packets received" in three.kubectl("exec", "two", "--", "ping", "-c1", "-W5", pods.address(three, "one"))


def test_a_node_can_be_cut_off_and_goes_on(three: Cluster) -> None:
    ping = ("exec", "two", "--", "ping", "-c1", "-W2", pods.address(three, "three"))
    three.fabric.cut("n3")
    assert three.try_kubectl(*ping).returncode != 0
    assert three.nodes["n3"].request("pid", "kubelet") != ""
    three.fabric.mend("n3")
    wait_for(lambda: three.try_kubectl(*ping).returncode == 0, "the way to node n3")


def test_what_a_node_writes_is_its_own(cluster: Cluster) -> None:
    cluster.nodes["n1"].run("sh", "-c", "mkdir -p /etc/of-the-node /opt/cni/bin && touch /etc/of-the-node/file")
    assert not Path("/etc/of-the-node").exists()
    assert cluster.nodes["n2"].try_run("test", "-e", "/etc/of-the-node").returncode == 1
    assert cluster.nodes["n1"].run("hostname") == "n1\n"


def test_any_process_of_the_machine_finds_it(cluster: Cluster, binaries: Binaries) -> None:
    found = find(cluster.name, binaries)
    assert found.nodes["n3"].run("hostname") == "n3\n"
    assert found.kubectl("get", "nodes", "-o", "name").split() == ["node/n1", "node/n2", "node/n3"]


def traces(name: str) -> dict[str, object]:
    """What is here of a cluster and its nodes."""
    left = [str(top) for top in cgroups.tops(name) if top.exists()]
    return {"groups": left, "directory": record.directory_of(name).exists(), "processes": processes(f"/{name}/")}


def settings() -> dict[str, object]:
    """What is of the whole machine and must be as it was; others mount and unmount what they like."""
    whole = {path: Path("/proc/sys", path).read_text() for path in KUBELET_WANTS}
    mounts = Path("/proc/self/mountinfo").read_text()
    return {**snapshot(), "mounts": mounts.count(str(record.BASE)), "sysctl": whole}


def test_nothing_is_left_of_a_cluster_beside_another(cluster: Cluster, binaries: Binaries) -> None:
    before, name = settings(), f"gone-{os.getpid()}"
    with temporary_cluster(name, binaries, nodes=1) as small:
        small.apply(pods.pod("alone", "n1"))
        pods.wait_ready(small, "alone")
        assert small.get("nodes")["items"][0]["status"]["addresses"][0]["address"] == cluster.nodes["n1"].address
        assert all(traces(name).values())
    assert not any(traces(name).values())
    assert settings() == before
    cluster.wait_nodes_ready()


def test_a_cluster_ends_with_who_started_it_and_the_next_takes_away_the_rest(binaries: Binaries) -> None:
    name, script = (
        f"lost-{os.getpid()}",
        "import sys, time; from tests.cluster.test_machine import hold; hold(sys.argv[1])",
    )
    command = [sys.executable, "-c", script, name]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        assert len(processes(f"/{name}/")) > 3
        holder.send_signal(signal.SIGKILL)
    wait_for(lambda: not processes(f"/{name}/"), "the processes of a cluster whose starter was killed to end")
    assert record.directory_of(name).exists()
    with record.alone():
        record.sweep()
    assert not any(traces(name).values())


def test_a_cluster_that_does_not_come_up_tells_what_was_said_and_leaves_nothing(
    binaries: Binaries, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_directory: Path) -> list[Path]:
        raise ClusterError("no images today")

    monkeypatch.setattr(bringup, "write_images", fail)
    name = f"bad-{os.getpid()}"
    with pytest.raises(ClusterError, match=r"(?s)no images today.*\ncp/log/etcd\.log: .*"):
        temporary_cluster(name, binaries, nodes=1).__enter__()
    assert not any(traces(name).values())


def hold(name: str) -> None:
    """Bring a cluster up, say so, and stay."""
    with temporary_cluster(name, find_binaries(may_build=False), nodes=1):
        print("up", flush=True)
        signal.pause()


def test_down_of_what_is_not_up_is_no_error() -> None:
    down("never-was")


def test_its_requests_are_counted(three: Cluster) -> None:
    three.kubectl("create", "configmap", "counted", "-n", "default")
    found = [event for event in three.audit() if event.get("objectRef", {}).get("name") == "counted"]
    assert [event["verb"] for event in found] == ["create"]
    assert json.loads(three.kubectl("get", "configmap", "counted", "-o", "json"))["metadata"]["name"] == "counted"
