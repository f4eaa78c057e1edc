"""The pods of the namespace may be of the class that they ask for, also where that is allowed by a quota alone."""

from tests.manifests.files import documents, only

QUOTA = only("ResourceQuota", "base/quota.yaml")
MANY = 100_000
"""More nodes than a cluster has."""


def test_the_base_brings_it_into_the_namespace():
    (kustomization,) = documents("base/kustomization.yaml")

    assert "quota.yaml" in kustomization["resources"]
    assert QUOTA["metadata"]["namespace"] == "meshnet"


def test_it_is_for_the_class_of_the_daemon_and_of_the_uninstaller():
    """By this very selector: where a class is limited, a quota without one does not count."""
    (job,) = documents("uninstall/job.yaml")
    pods = [only("DaemonSet", "base/daemonset.yaml")["spec"]["template"], job["spec"]["template"]]
    (scope,) = QUOTA["spec"]["scopeSelector"]["matchExpressions"]

    assert {pod["spec"]["priorityClassName"] for pod in pods} == set(scope["values"])
    assert (scope["scopeName"], scope["operator"]) == ("PriorityClass", "In")
    assert job["metadata"]["namespace"] == QUOTA["metadata"]["namespace"]


def test_it_limits_nothing():
    """Of other resources it says nothing: then pods would have to name requests and limits of these."""
    assert set(QUOTA["spec"]["hard"]) == {"pods"}
    assert int(QUOTA["spec"]["hard"]["pods"].removesuffix("M")) * 1_000_000 >= MANY
