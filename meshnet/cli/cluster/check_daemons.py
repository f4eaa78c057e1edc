"""The DaemonSet: a pod on every node, ready, and all of one version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet import __version__
from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.cluster.pods import DAEMONSET, NAMESPACE
from meshnet.cli.cluster.unknown import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.cli.ask import Answers
    from meshnet.cli.cluster.pods import DaemonPod
    from meshnet.cli.cluster.target import Cluster

OS_LABEL = "kubernetes.io/os"
LOGS = f"kubectl logs -n {NAMESPACE}"


def check_daemons(cluster: Cluster) -> list[Finding]:
    """Return what was found of the DaemonSet, of its pods, and what the daemons answer."""
    found = known("daemons", "DaemonSet", lambda: _daemonset(cluster))
    found += known("daemons", "pods", lambda: pods_of(cluster.daemons.pods(), _nodes(cluster)))
    return found + versions(cluster.ask("health"))


def _daemonset(cluster: Cluster) -> Sequence[Finding]:
    status = cluster.reader.get("/apis/apps/v1", NAMESPACE, "daemonsets", DAEMONSET).get("status") or {}
    wanted, ready, new = (
        int(status.get(field) or 0) for field in ("desiredNumberScheduled", "numberReady", "updatedNumberScheduled")
    )
    told = f"{NAMESPACE}/{DAEMONSET}: {ready} of {wanted} ready"
    if not wanted:
        cure = f"its nodeSelector fits no node: kubectl get daemonset {DAEMONSET} -n {NAMESPACE} -o yaml"
        return [Finding("daemons", "DaemonSet", Outcome.FAIL, told, cure)]
    if ready < wanted:
        cure = f"kubectl describe pods -n {NAMESPACE}; until it is ready, pods of that node do not start"
        return [Finding("daemons", "DaemonSet", Outcome.FAIL, told, cure)]
    if new < wanted:
        cure = f"kubectl rollout status daemonset/{DAEMONSET} -n {NAMESPACE}"
        return [Finding("daemons", "DaemonSet", Outcome.WARN, f"{told}, {new} of the newest template", cure)]
    return [Finding("daemons", "DaemonSet", Outcome.OK, told)]


def _nodes(cluster: Cluster) -> Sequence[str]:
    """Return the names of the nodes that shall have a daemon: all that run Linux."""
    objects: list[Mapping[str, Any]] = [*cluster.reader.list("/api/v1", "", "nodes")]
    labels = {node["metadata"]["name"]: node["metadata"].get("labels") or {} for node in objects}
    return [name for name, given in labels.items() if given.get(OS_LABEL, "linux") == "linux"]


def pods_of(pods: Mapping[str, DaemonPod], nodes: Sequence[str]) -> list[Finding]:
    """Return which nodes have no daemon's pod, and which such pods are not ready."""
    found = []
    for node in sorted({*pods, *nodes}):
        pod = pods.get(node)
        if pod is None:
            told = "has no daemon's pod: no pod with links starts there"
            cure = f"kubectl describe daemonset {DAEMONSET} -n {NAMESPACE}: its nodeSelector, and events of that node"
            found.append(Finding("daemons", f"node {node}", Outcome.FAIL, told, cure))
        elif not pod.ready:
            told = f"pod {NAMESPACE}/{pod.name}: {pod.condition}"
            cure = f"{LOGS} {pod.name}; kubectl describe pod -n {NAMESPACE} {pod.name}"
            found.append(Finding("daemons", f"node {node}", Outcome.FAIL, told, cure))
    return found


def versions(answers: Answers) -> list[Finding]:
    """Return whether the daemons answer, have read the store, and are of one version, this command's."""
    found = []
    if answers.trouble:
        told = f"not known: {answers.trouble}"
        found.append(Finding("daemons", "answers", Outcome.WARN, told, _CURE_ASKING))
    for node, why in sorted(answers.silent.items()):
        found.append(Finding("daemons", f"node {node}", Outcome.FAIL, f"does not answer: {why}", _CURE_ASKING))
    for node, health in sorted(answers.told.items()):
        if not health.get("synced"):
            told = "has not read the Topologies and nodes from the API server yet"
            cure = f"wait; if it stays so: {LOGS} of its pod"
            found.append(Finding("daemons", f"node {node}", Outcome.FAIL, told, cure))
    by_version: dict[str, list[str]] = {}
    for node, health in sorted(answers.told.items()):
        by_version.setdefault(str(health.get("version") or "unknown"), []).append(node)
    told = "; ".join(f"{version} on {', '.join(nodes)}" for version, nodes in sorted(by_version.items()))
    if by_version and set(by_version) != {__version__}:
        cure = f"kubectl rollout status daemonset/{DAEMONSET} -n {NAMESPACE}; this command is {__version__}"
        found.append(Finding("daemons", "versions", Outcome.WARN, told, cure))
    elif by_version:
        found.append(Finding("daemons", "versions", Outcome.OK, told))
    return found


_CURE_ASKING = (
    f"look at its pod (kubectl get pods -n {NAMESPACE} -o wide) and its log; whoever asks needs the right to list "
    f"pods, and to get and create pods/exec, in namespace {NAMESPACE}"
)
