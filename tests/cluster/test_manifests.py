"""Every kustomization builds, and a real API server takes it without a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.cluster.resources import MANIFESTS

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster

OVERLAYS = sorted(path.parent for path in MANIFESTS.glob("overlays/*/kustomization.yaml"))


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    """With the base: what is only tried needs its namespace and its kinds."""
    api_server.apply_directory(MANIFESTS / "base")
    return api_server


def built(server: ApiServer, directory: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(server.kubectl("kustomize", str(directory))))


def daemon_set(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == "DaemonSet"]
    return found


def container(server: ApiServer, overlay: str) -> dict[str, Any]:
    (found,) = daemon_set(built(server, MANIFESTS / "overlays" / overlay))["spec"]["template"]["spec"]["containers"]
    return dict(found)


def paths(server: ApiServer, overlay: str) -> dict[str, str]:
    spec = daemon_set(built(server, MANIFESTS / "overlays" / overlay))["spec"]["template"]["spec"]
    return {volume["name"]: volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume}


def variables(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in found["env"] if "value" in each}


@pytest.mark.parametrize("directory", [MANIFESTS / "base", *OVERLAYS], ids=lambda path: path.name)
def test_a_server_takes_it_without_a_warning(server: ApiServer, directory: Path) -> None:
    done = server.try_kubectl("apply", "--dry-run=server", "--validate=strict", "-k", str(directory))

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "daemonset.apps/meshnet" in done.stdout


@pytest.mark.parametrize("directory", ["overlays/readiness-gate", "base"])
def test_what_is_applied_again_is_said_to_be_unchanged(server: ApiServer, directory: str) -> None:
    """Every value is written as the server keeps it, so that whoever applies sees what an upgrade changes."""
    server.apply_directory(MANIFESTS / directory)

    told = server.kubectl("apply", "-k", str(MANIFESTS / directory)).splitlines()

    assert [line for line in told if not line.endswith(" unchanged")] == []


@pytest.mark.parametrize("directory", OVERLAYS, ids=lambda path: path.name)
def test_an_overlay_changes_the_daemon_and_keeps_what_users_rely_on(server: ApiServer, directory: Path) -> None:
    base, overlay = (daemon_set(built(server, path)) for path in (MANIFESTS / "base", directory))

    assert overlay != base or directory.name == "rke"
    assert overlay["metadata"] == base["metadata"]
    assert overlay["spec"]["selector"] == base["spec"]["selector"]
    assert len(overlay["spec"]["template"]["spec"]["containers"]) == 1


def test_what_each_overlay_is_for(server: ApiServer) -> None:
    base = container(server, "rke")
    assert variables(base)["INTER_NODE_LINK_TYPE"] == "VXLAN"
    assert variables(container(server, "grpc-link"))["INTER_NODE_LINK_TYPE"] == "GRPC"
    both = container(server, "grpc-link-e2e")
    assert (both["imagePullPolicy"], variables(both)["INTER_NODE_LINK_TYPE"]) == ("Never", "GRPC")
    assert paths(server, "kops") == {**paths(server, "rke"), "cni-bin": "/home/kubernetes/bin"}
    assert all(paths(server, "k3s")[name].startswith("/var/lib/rancher/k3s/") for name in ("cni-bin", "cni-conf"))
    capabilities, fewer = (
        each["securityContext"]["capabilities"]["add"] for each in (base, container(server, "hardened"))
    )
    assert [name for name in capabilities if name not in fewer] == ["SYS_ADMIN"]
    assert variables(container(server, "readiness-gate"))["MESHNET_READINESS_GATE"] == "true"


def test_components_can_be_put_together(server: ApiServer, tmp_path: Path) -> None:
    """As a user does it in a directory of his own, here beside a copy of ours."""
    (tmp_path / "manifests").symlink_to(MANIFESTS)
    names = sorted(path.name for path in MANIFESTS.glob("components/*"))
    mine = {"resources": ["manifests/base"], "components": [f"manifests/components/{name}" for name in names]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(mine))

    objects = built(server, tmp_path)

    (found,) = daemon_set(objects)["spec"]["template"]["spec"]["containers"]
    assert variables(found).keys() >= {"MESHNET_READINESS_GATE", "INTER_NODE_LINK_TYPE", "MESHNET_LOG_LEVEL"}


def test_pods_of_the_class_that_only_a_quota_allows_are_let_in_where_the_base_is(server: ApiServer) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "meshnet", "namespace": "default"}}
    server.apply(account)
    (job,) = yaml.safe_load_all((MANIFESTS / "uninstall" / "job.yaml").read_text().replace("NODE", "n1"))
    for template in (daemon_set(built(server, MANIFESTS / "base"))["spec"]["template"], job["spec"]["template"]):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "critical"}, "spec": template["spec"]}
        pod["spec"]["serviceAccountName"] = "meshnet"  # nobody makes one called default here

        let_in, refused = (try_pod(server, pod, namespace) for namespace in ("meshnet", "default"))

        assert let_in == ""
        assert "insufficient quota to match these scopes" in refused


def try_pod(server: ApiServer, pod: dict[str, Any], namespace: str) -> str:
    """Create a pod without keeping it; return what the server has against it."""
    text = yaml.safe_dump(pod)
    return server.try_kubectl("create", "--dry-run=server", "-n", namespace, "-f", "-", stdin=text).stderr


@pytest.mark.parametrize("node", ["n1", "ip-192-168-171-205.eu-central-1.compute.internal.example"])
def test_the_uninstaller_is_a_job_for_one_node(server: ApiServer, node: str) -> None:
    text = (MANIFESTS / "uninstall" / "job.yaml").read_text().replace("NODE", node)

    done = server.try_kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)

    assert (done.returncode, done.stderr) == (0, "")
    assert "job.batch/meshnet-uninstall-" in done.stdout


def test_upstreams_daemon_is_replaced_in_place(server: ApiServer) -> None:
    """And nothing of its rights is left."""
    server.kubectl("delete", "daemonset", "meshnet", "-n", "meshnet")
    pod = {
        "hostNetwork": True,
        "hostPID": True,
        "hostIPC": True,
        "nodeSelector": {"beta.kubernetes.io/arch": "amd64"},
        "serviceAccountName": "meshnet",
        "containers": [
            {
                "name": "meshnet",
                "image": "networkop/meshnet",
                "securityContext": {"privileged": True},
                "env": [{"name": "INTER_NODE_LINK_TYPE", "value": "VXLAN"}],
                "resources": {"limits": {"memory": "10G"}},
                "volumeMounts": [{"name": "var-run-netns", "mountPath": "/var/run/netns"}],
            }
        ],
        "volumes": [{"name": "var-run-netns", "hostPath": {"path": "/var/run/netns"}}],
    }
    labels = {"app": "meshnet", "name": "meshnet"}  # its kustomization adds the first everywhere, to selectors, too
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "meshnet", "namespace": "meshnet", "labels": labels}
    server.apply({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec})

    server.apply_directory(MANIFESTS / "base")

    after = server.get("daemonset", "meshnet", "-n", "meshnet")["spec"]["template"]["spec"]
    assert not {"hostPID", "hostIPC"} & set(after)
    assert "beta.kubernetes.io/arch" not in after["nodeSelector"]
    (container,) = after["containers"]
    assert container["securityContext"]["privileged"] is False
    assert "limits" not in container["resources"]
    assert {volume["name"] for volume in after["volumes"]} == {"cni-conf", "cni-bin", "netns", "run", "state", "tmp"}
