"""``meshnet doctor`` on a cluster: every check, in the order in which things depend on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.checks.frames import check_frames
from meshnet.cli.checks.machine import check_versions
from meshnet.cli.cluster.check_daemons import check_daemons
from meshnet.cli.cluster.check_installed import check_installed
from meshnet.cli.cluster.check_nodes import check_nodes
from meshnet.cli.cluster.check_topologies import check_topologies
from meshnet.cli.cluster.unknown import known
from meshnet.cli.links import ends
from meshnet.errors import MeshnetError
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.cli.cluster.target import Cluster


def check_cluster(cluster: Cluster) -> Sequence[Finding]:
    """Return what was found of a cluster; where its API server does not answer, that alone."""
    first = check_versions()
    try:
        version = cluster.reader.version()
    except MeshnetError as error:
        cure = "is it running, is this its address, and may this user ask it? `kubectl version` asks the same"
        return [first, Finding("cluster", "API server", Outcome.FAIL, str(error), cure)]
    found = [first, Finding("cluster", "API server", Outcome.OK, f"{cluster.name}: Kubernetes {version}")]
    for check in (check_installed, check_daemons, check_nodes, check_topologies):
        found += check(cluster)
    return found + known("links", "frames", lambda: check_frames(cluster, ends(cluster.objects(Kind.TOPOLOGY))))
