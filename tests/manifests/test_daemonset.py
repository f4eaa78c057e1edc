"""The DaemonSet gives a daemon what it needs by names that the daemon knows, and nothing that it does not need."""

import re

import pytest
import yaml

from meshnet import __version__
from meshnet.cli.checks.machine import CAPABILITIES
from meshnet.daemon.settings import Settings
from meshnet.dispatch.resolve import Scope
from meshnet.model.node_record import PORT
from tests.manifests.files import MANIFESTS, daemon_container, documents, environment, only

DAEMON_SET = only("DaemonSet", "base/daemonset.yaml")
POD = DAEMON_SET["spec"]["template"]["spec"]
FILES = sorted(MANIFESTS.rglob("*.yaml"))
KUSTOMIZATIONS = [path for path in FILES if path.name == "kustomization.yaml"]


def test_the_daemon_understands_what_it_is_told():
    settings = Settings.read({**environment(), "NODE_NAME": "n1", "HOST_IP": "192.0.2.1"})

    assert settings.store == "kubernetes:"
    assert settings.prefer[Scope.BETWEEN_NODES] == "VXLAN"
    assert settings.cni is not None


def test_every_variable_is_one_that_the_daemon_reads():
    """Or, like POD_NAME, one that upstream's manifest has and nobody reads."""
    known = (MANIFESTS.parent / "meshnet" / "daemon" / "settings.py").read_text()
    names = {each["name"] for each in daemon_container()["env"]} - {"POD_NAME", "POD_NAMESPACE"}
    for path in KUSTOMIZATIONS:
        names |= set(re.findall(r"- name: ([A-Z][A-Z_]+)$", path.read_text(), re.MULTILINE))

    assert {"HOST_IP", "INTER_NODE_LINK_TYPE", "NODE_NAME", "MESHNET_READINESS_GATE"} <= names
    assert [name for name in names if name not in known] == []


def test_what_the_daemon_reads_and_writes_is_mounted():
    mounts = {mount["mountPath"]: mount["name"] for mount in daemon_container()["volumeMounts"]}
    volumes = {volume["name"] for volume in POD["volumes"]}
    settings = Settings.read({**environment(), "NODE_NAME": "n1"})

    assert set(mounts.values()) == volumes
    assert {str(settings.run_dir), str(settings.state_dir), "/run/netns", "/tmp"} <= set(mounts)
    assert set(environment().values()) >= {path for path in mounts if path.startswith(("/etc", "/opt"))}


def test_names_and_labels_that_users_of_upstream_rely_on():
    labels = {"app": "meshnet", "name": "meshnet"}

    assert DAEMON_SET["metadata"] == {"name": "meshnet", "namespace": "meshnet", "labels": labels}
    assert DAEMON_SET["spec"]["selector"] == {"matchLabels": labels}  # as `kubectl apply -k` made it there
    assert DAEMON_SET["spec"]["template"]["metadata"]["labels"] == labels
    assert only("Namespace", "base/namespace.yaml")["metadata"]["name"] == "meshnet"


def test_it_has_no_more_rights_than_those_named():
    context = daemon_container()["securityContext"]

    assert not context["privileged"]
    assert not context["allowPrivilegeEscalation"]
    assert context["readOnlyRootFilesystem"]
    assert context["capabilities"]["drop"] == ["ALL"]
    assert set(context["capabilities"]["add"]) == {*CAPABILITIES, "BPF"}
    assert not {"hostPID", "hostIPC"} & set(POD)
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}


def test_where_selinux_is_enforcing_it_may_write_to_the_nodes_directories():
    (job,) = documents("uninstall/job.yaml")

    for pod in (POD, job["spec"]["template"]["spec"]):
        assert pod["securityContext"]["seLinuxOptions"] == {"type": "spc_t"}
        assert not any("seLinuxOptions" in each.get("securityContext", {}) for each in pod["containers"])


def test_every_capability_has_its_reason_beside_it():
    text = (MANIFESTS / "base" / "daemonset.yaml").read_text()

    for name in daemon_container()["securityContext"]["capabilities"]["add"]:
        assert re.search(rf"^ +- {name} +# \w+", text, re.MULTILINE), name


def test_a_daemon_that_hangs_is_restarted_before_its_node_is_called_unready():
    liveness = daemon_container()["livenessProbe"]
    found_s = liveness["failureThreshold"] * liveness["periodSeconds"] + liveness["timeoutSeconds"]

    assert found_s + liveness["terminationGracePeriodSeconds"] < 45


def test_nodes_are_upgraded_one_by_one_and_never_run_two_daemons():
    assert DAEMON_SET["spec"]["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    assert {port["containerPort"] for port in daemon_container()["ports"]} == {PORT}
    assert {port["protocol"] for port in daemon_container()["ports"]} == {"TCP", "UDP"}


def test_the_image_is_this_release():
    (kustomization,) = documents("base/kustomization.yaml")
    (job,) = documents("uninstall/job.yaml")

    assert kustomization["images"] == [{"name": daemon_container()["image"], "newTag": __version__}]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"meshnet:{__version__}"


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_patches_name_what_they_change_and_never_count(path):
    kustomization = yaml.safe_load(path.read_text())

    for patch in kustomization.get("patches", ()):
        assert yaml.safe_load(patch["patch"])["metadata"] == {"name": "meshnet", "namespace": "meshnet"}
    assert "op:" not in path.read_text()


@pytest.mark.parametrize("name", sorted(path.name for path in (MANIFESTS / "components").iterdir()))
def test_every_component_has_an_overlay(name):
    (overlay,) = documents(f"overlays/{name}/kustomization.yaml")

    assert overlay["components"] == [f"../../components/{name}"]
