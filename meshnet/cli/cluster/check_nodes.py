"""Each node: its record, the plugin and the network list there, its drivers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshnet.cli.checks.drivers import on_nodes
from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.cluster.pods import NAMESPACE
from meshnet.cli.cluster.unknown import known
from meshnet.cni.install.inspect import BAD
from meshnet.model.fields import Fields
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from meshnet.cli.cluster.target import Cluster
    from meshnet.stores.kubernetes.exec import Ran

STATUS = ("meshnet", "cni", "status", "-o", "json")
STATUS_S = 10.0
"""It asks its daemon as well, which may be what is wrong."""

CURE_DRIVER = "links that need it stay down there: mend what it says, or take it out of the image"


def check_nodes(cluster: Cluster) -> list[Finding]:
    """Return what was found of records, installations and drivers."""
    found = known("nodes", "records", lambda: records(_recorded(cluster), cluster.daemons.pods(), _there(cluster)))
    found += known("plugin", "installation", lambda: installations(*cluster.daemons.run(STATUS, STATUS_S)))
    return found + on_nodes(cluster.ask("drivers").rows("drivers"), lambda _: CURE_DRIVER)


def _recorded(cluster: Cluster) -> Sequence[str]:
    return [record.name for record in cluster.objects(Kind.NODE)]


def _there(cluster: Cluster) -> Sequence[str]:
    return [str(node["metadata"]["name"]) for node in cluster.reader.list("/api/v1", "", "nodes")]


def records(recorded: Collection[str], running: Iterable[str], nodes: Collection[str]) -> list[Finding]:
    """Return which nodes have no record though they have a daemon's pod, and which records are of no node."""
    found = []
    for node in sorted(set(running) - set(recorded)):
        told = "has no record: the daemons of other nodes do not know how to reach it"
        cure = f"kubectl logs -n {NAMESPACE} of its pod tells why it cannot write one: rights, or the admission policy"
        found.append(Finding("nodes", f"node {node}", Outcome.FAIL, told, cure))
    for node in sorted(set(recorded) - set(nodes)):
        told = "has a record, and is no node of this cluster: its certificates are trusted still"
        found.append(Finding("nodes", f"node {node}", Outcome.WARN, told, f"kubectl delete meshnode {node}"))
    if not found:
        found.append(Finding("nodes", "records", Outcome.OK, ", ".join(sorted(recorded)) or "none"))
    return found


def installations(outcomes: Mapping[str, Ran], silent: Mapping[str, str]) -> list[Finding]:
    """Return how the plugin and the network list are on each node, from what ``meshnet cni status`` says there."""
    found = []
    for node, ran in sorted(outcomes.items()):
        parts = _parts(ran.out)
        if parts:
            found.append(_installation(node, parts))
        else:
            said = ran.err.decode(errors="replace").strip()
            silent = {**silent, node: said or f"meshnet cni status says {ran.out[:80]!r}"}
    for node, why in sorted(silent.items()):
        cure = "in the daemon's pod of that node: kubectl exec -n meshnet POD -- meshnet cni status"
        found.append(Finding("plugin", f"node {node}", Outcome.WARN, f"not known: {why}", cure))
    return found


def _parts(out: bytes) -> Sequence[Mapping[str, Any]]:
    """Return what a status tells of; nothing of one that is another version's, or damaged."""
    try:
        found: list[Mapping[str, Any]] = json.loads(out)
    except (ValueError, RecursionError):
        return ()
    fields = Fields({"parts": found}, "", [])
    for part in fields.each("parts"):
        for name in ("part", "state", "path", "message"):
            part.text(name)
    return () if fields.problems else found


def _installation(node: str, parts: Sequence[Mapping[str, Any]]) -> Finding:
    bad = [part for part in parts if part["state"] in BAD]
    told = "; ".join(_part(part) for part in bad or parts)
    if bad:
        cure = "pods of that node start without their links, or not at all: docs/kubernetes/install.md tells what to do"
        return Finding("plugin", f"node {node}", Outcome.FAIL, told, cure)
    remarks = [str(part["message"]) for part in parts if part["state"] in ("remark", "apart", "away")]
    outcome = Outcome.WARN if remarks else Outcome.OK
    return Finding("plugin", f"node {node}", outcome, told, "; ".join(remarks))


def _part(part: Mapping[str, Any]) -> str:
    told = f" ({part['message']})" if part["message"] else ""
    return f"{part['part']} {part['path']}: {part['state']}{told}"
