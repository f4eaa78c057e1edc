"""What a daemon needs is what the manifests give it."""

from __future__ import annotations

from typing import Any

import pytest

from meshnet.cli.checks.finding import Outcome
from meshnet.cli.cluster.check_installed import ACCOUNT, NEEDED, POLICY, policy_findings, rights_findings
from meshnet.stores.kubernetes.reader import Reader
from tests.manifests.files import only
from tests.stores.kubernetes.server import Reply, Server


def test_what_is_asked_for_is_what_the_role_gives() -> None:
    rules = only("ClusterRole", "base/rbac.yaml")["rules"]
    given = {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert set(NEEDED) == {each for each in given if each[1] != "customresourcedefinitions"}
    (subject,) = only("ClusterRoleBinding", "base/rbac.yaml")["subjects"]
    assert f"system:serviceaccount:{subject['namespace']}:{subject['name']}" == ACCOUNT


def test_the_policy_and_its_binding_are_those_of_the_manifests() -> None:
    assert only("ValidatingAdmissionPolicy", "base/policy.yaml")["metadata"]["name"] == POLICY
    (found,) = policy_findings(only("ValidatingAdmissionPolicyBinding", "base/policy.yaml"))
    assert found.outcome is Outcome.OK


@pytest.mark.parametrize("spec", [{}, {"policyName": POLICY, "validationActions": ["Audit"]}, {"policyName": "other"}])
def test_a_binding_that_refuses_nothing_fails(spec: dict[str, Any]) -> None:
    (found,) = policy_findings({"spec": spec})
    assert found.outcome is Outcome.FAIL
    assert found.advice


def test_rights_that_are_missing_are_named(tmp_path: Any) -> None:
    yes, no = Reply(201, {"status": {"allowed": True}}), Reply(201, {"status": {"allowed": False}})
    with Server(no, yes) as server:
        (found,) = rights_findings(Reader(server.access(tmp_path)))
    assert (found.outcome, found.told) == (Outcome.FAIL, f"{ACCOUNT} may not get topologies")
    with Server(yes) as server:
        (found,) = rights_findings(Reader(server.access(tmp_path)))
    assert found.outcome is Outcome.OK
