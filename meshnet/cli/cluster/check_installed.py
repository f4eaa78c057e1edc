"""What the cluster must have before any daemon works: schemas, the policy, the daemons' rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.checks.node import check_schemas
from meshnet.cli.cluster.unknown import APPLY, known
from meshnet.model.resource import GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.cli.cluster.target import Cluster
    from meshnet.stores.kubernetes.reader import Reader

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICY = "meshnet-own-node"
ACCOUNT = "system:serviceaccount:meshnet:meshnet"
NEEDED = (
    *((GROUP, "topologies", verb) for verb in ("get", "list", "watch")),
    (GROUP, "topologies/status", "patch"),
    *((GROUP, "meshnodes", verb) for verb in ("get", "list", "watch", "create", "update")),
    *(("", "events", verb) for verb in ("create", "patch")),
)
"""What a daemon must be allowed: API group, resource, verb."""


def check_installed(cluster: Cluster) -> list[Finding]:
    """Return what was found of schemas, policy and rights."""
    old = [attrs.evolve(finding, area="cluster") for finding in check_schemas(cluster)]
    schemas = old or [Finding("cluster", "schema", Outcome.OK, "as new as this release")]
    policy = known("cluster", "admission policy", lambda: _policy(cluster.reader))
    return [*schemas, *policy, *known("cluster", "rights", lambda: rights_findings(cluster.reader))]


def _policy(reader: Reader) -> Sequence[Finding]:
    """Whether each daemon is kept to its own node; links work without it."""
    reader.get(ADMISSION, "", "validatingadmissionpolicies", POLICY)
    return policy_findings(reader.get(ADMISSION, "", "validatingadmissionpolicybindings", POLICY))


def policy_findings(binding: Mapping[str, Any]) -> Sequence[Finding]:
    """Return whether a binding puts the policy in force."""
    spec = binding.get("spec") or {}
    if spec.get("policyName") != POLICY or "Deny" not in (spec.get("validationActions") or ()):
        told = f"ValidatingAdmissionPolicyBinding {POLICY}: binds {spec.get('policyName')!r} to "
        told += f"{spec.get('validationActions')}, must bind {POLICY!r} to ['Deny']"
        return [Finding("cluster", "admission policy", Outcome.FAIL, told, APPLY)]
    return [Finding("cluster", "admission policy", Outcome.OK, f"{POLICY}: each daemon writes for its own node alone")]


def rights_findings(reader: Reader) -> Sequence[Finding]:
    """Return whether the daemons may do what they do, whoever gives them the right. Raises StoreUnavailable."""
    missing = [
        f"{verb} {resource}" for group, resource, verb in NEEDED if not reader.may(ACCOUNT, verb, group, resource)
    ]
    if missing:
        told = f"{ACCOUNT} may not {', '.join(missing)}"
        return [Finding("cluster", "rights", Outcome.FAIL, told, f"{APPLY}: its ClusterRole and its binding")]
    return [Finding("cluster", "rights", Outcome.OK, f"{ACCOUNT} may do what a daemon does")]
