"""The links: which are not up, and why; and Topologies whose pod is not wired."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.checks.links import SHOWN, check_links, rest
from meshnet.cli.cluster.advice import advice
from meshnet.cli.cluster.unknown import known
from meshnet.cli.links import ends, join
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.cli.cluster.target import Cluster
    from meshnet.model.resource import Resource
    from meshnet.model.topology import PodKey


def check_topologies(cluster: Cluster) -> list[Finding]:
    """Return what was found of links and pods, in all namespaces."""
    return known("links", "all", lambda: _check(cluster))


def _check(cluster: Cluster) -> Sequence[Finding]:
    topologies = cluster.objects(Kind.TOPOLOGY)
    rows = join(ends(topologies), cluster.ask("links").rows("links"))
    unwired = [one for one in topologies if not one.status.get("node")]
    return [*check_links(rows, advice), *known("links", "pods", lambda: pods(unwired, _pods(cluster, unwired)))]


def _pods(cluster: Cluster, topologies: Sequence[Resource]) -> Mapping[PodKey, Mapping[str, Any]]:
    """Return the pods of the namespaces of these Topologies, by their key."""
    namespaces = sorted({one.namespace for one in topologies})
    found = [pod for namespace in namespaces for pod in cluster.reader.list("/api/v1", namespace, "pods")]
    return {(pod["metadata"]["namespace"], pod["metadata"]["name"]): pod for pod in found}


def pods(unwired: Sequence[Resource], there: Mapping[PodKey, Mapping[str, Any]]) -> list[Finding]:
    """Return the Topologies that have no pod, and those whose pod runs without being wired."""
    found = []
    for topology in unwired[:SHOWN]:
        told, cure = _unwired(topology, there.get(topology.key))
        found.append(Finding("links", f"{topology.namespace}/{topology.name}", Outcome.WARN, told, cure))
    return found + rest(unwired, "Topologies")


def _unwired(topology: Resource, pod: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return how the pod of a Topology that has no node is, and what to do about it."""
    if topology.metadata.get("deletionTimestamp"):
        holding = ", ".join(topology.metadata.get("finalizers") or ())
        return "a Topology that is being deleted", f"it goes once its finalizers are removed: {holding}"
    words = f"-n {topology.namespace} {topology.name}"
    if pod is None:
        return "a Topology without a pod", f"start a pod of that name there, or: kubectl delete topology {words}"
    phase = (pod.get("status") or {}).get("phase") or "Unknown"
    if (pod.get("spec") or {}).get("hostNetwork"):
        cure = "take its hostNetwork: true away: for such a pod the runtime calls no plugin"
    elif phase in ("Succeeded", "Failed"):
        cure = f"it has ended: start a pod of that name anew, or: kubectl delete topology {words}"
    elif phase == "Pending":
        cure = f"kubectl describe pod {words}"
    else:
        cure = "started before its node's daemon? Delete it, so that it starts anew"
    return f"its pod is {phase}, and is not wired", cure
