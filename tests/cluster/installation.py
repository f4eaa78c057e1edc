"""meshnet on a test cluster: put there, rolled out and taken away as the docs say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.resources import MANIFESTS
from tests.image.build import CannotBuildError, built_archive

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.machine.client import Client
    from tests.cluster.machine.cluster import Cluster

NAMESPACE = "meshnet"
DAEMONS = "daemonset/meshnet"
UNINSTALLERS = "--selector=app=meshnet-uninstall"
ROLLOUT_S = 180


def install(cluster: Cluster, kustomization: Path = MANIFESTS / "base") -> None:
    """Have the image on every node, and a kustomization's daemons ready. Skips where no image can be built."""
    try:
        archive = built_archive()
    except CannotBuildError as reason:
        pytest.skip(str(reason))
    cluster.install(kustomization, archive.path)
    roll_out(cluster)


def meshnet(cluster: Client, *words: str) -> str:
    """Run kubectl in the namespace of the daemons."""
    return cluster.kubectl(*words, f"--namespace={NAMESPACE}")


def roll_out(cluster: Client) -> None:
    """Wait until every node runs the daemon that the manifests say."""
    meshnet(cluster, "rollout", "status", DAEMONS, f"--timeout={ROLLOUT_S}s")


def daemon_of(cluster: Client, node: str) -> str:
    """Return the name of the daemon's pod on a node."""
    words = ("pods", f"--namespace={NAMESPACE}", "--selector=name=meshnet", f"--field-selector=spec.nodeName={node}")
    (found,) = [each for each in cluster.get(*words)["items"] if "deletionTimestamp" not in each["metadata"]]
    return str(found["metadata"]["name"])


def uninstall(cluster: Cluster) -> None:
    """Take plugin and configuration away from every node: what docs/kubernetes/install.md says."""
    meshnet(cluster, "delete", DAEMONS, "--ignore-not-found", "--cascade=foreground", "--timeout=120s")
    job = (MANIFESTS / "uninstall" / "job.yaml").read_text()
    for node in cluster.nodes:
        cluster.kubectl("create", "-f", "-", stdin=job.replace("NODE", node))
    meshnet(cluster, "wait", "job", UNINSTALLERS, "--for=condition=Complete", "--timeout=120s")
    meshnet(cluster, "delete", "job", UNINSTALLERS)


def remove(cluster: Client, kustomization: Path = MANIFESTS / "base") -> None:
    """Delete all that was applied, Topologies too."""
    cluster.kubectl("delete", "--ignore-not-found", "-k", str(kustomization), "--timeout=120s")
