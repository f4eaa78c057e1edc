"""What the page on the manifests shows works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING

import pytest
import yaml

from meshnet.model.resource import API_VERSION
from tests.cluster.resources import LINK, MANIFESTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster

TEXT = (MANIFESTS.parent / "docs" / "kubernetes" / "manifests.md").read_text()
CONDITION = {"type": "Ready", "status": "True", "reason": "LinksReady", "lastTransitionTime": "2026-01-02T03:04:05Z"}


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    return [block for name, block in found if name == language]


@pytest.fixture(scope="module")
def server(api_server: ApiServer) -> ApiServer:
    """With all that is installed, a Topology that is ready, and the account of ordinary pods."""
    api_server.apply_directory(MANIFESTS / "overlays" / "readiness-gate")
    api_server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/topologies.networkop.co.uk")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}}
    topology = {"apiVersion": API_VERSION, "kind": "Topology", "metadata": {"name": "r1", "namespace": "default"}}
    api_server.apply(account, {**topology, "spec": {"links": [LINK]}})
    status = json.dumps({"status": {"conditions": [CONDITION]}})
    api_server.kubectl("patch", "topology", "r1", "--subresource=status", "--type=merge", "-p", status)
    return api_server


@pytest.mark.parametrize("line", "".join(blocks("")).splitlines())
def test_its_commands_work(server: ApiServer, line: str) -> None:
    program, *words = shlex.split(line)

    assert program == "kubectl"
    server.kubectl(*words)


def test_its_kustomization_is_taken(server: ApiServer, tmp_path: Path) -> None:
    (text,) = [block for block in blocks("yaml") if "kind: Kustomization" in block]
    (tmp_path / "kustomization.yaml").write_text(text)
    (tmp_path / "manifests").symlink_to(MANIFESTS)

    done = server.try_kubectl("apply", "--dry-run=server", "--validate=strict", "-k", str(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")


def test_its_pod_is_taken_and_waits_for_its_links(server: ApiServer) -> None:
    (text,) = [block for block in blocks("yaml") if "kind: Pod" in block]

    server.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)

    (gate,) = yaml.safe_load(text)["spec"]["readinessGates"]
    policy = (MANIFESTS / "components" / "readiness-gate" / "policy.yaml").read_text()
    assert f"'{gate['conditionType']}'" in policy


def test_it_names_every_component_and_capability() -> None:
    (daemon_set,) = yaml.safe_load_all((MANIFESTS / "base" / "daemonset.yaml").read_text())
    (container,) = daemon_set["spec"]["template"]["spec"]["containers"]

    for path in (MANIFESTS / "components").iterdir():
        assert f"`{path.name}`" in TEXT, path.name
    for name in container["securityContext"]["capabilities"]["add"]:
        assert f"| `{name}` |" in TEXT, name
