"""The policies know a daemon by its account, wherever that is."""

from tests.manifests.files import only


def test_both_policies_know_a_daemon_alike_and_by_no_namespace():
    conditions = [
        only("ValidatingAdmissionPolicy", path)["spec"]["matchConditions"]
        for path in ("base/policy.yaml", "components/readiness-gate/policy.yaml")
    ]

    assert conditions[0] == conditions[1]
    assert "meshnet:meshnet" not in str(conditions)
