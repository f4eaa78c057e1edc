"""A cluster as a place to act on: its Topologies by the API server, what only daemons know by `exec`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.cli.cluster.daemons import Daemons
from meshnet.cli.cluster.signin import SignedIn
from meshnet.cli.targets.base import Target
from meshnet.errors import MeshnetError
from meshnet.stores.kubernetes.reader import Reader
from meshnet.stores.kubernetes.store import KubernetesStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.cli.ask import Answers
    from meshnet.cli.checks.finding import Finding
    from meshnet.cli.cluster.kubeconfig import Chosen
    from meshnet.stores.base import Store


class Cluster(Target):
    """A cluster, as one user of it.

    Attributes:
        reader: of what is not ours in it.
        daemons: of its nodes.
    """

    store_url = "kubernetes:"

    def __init__(self, chosen: Chosen) -> None:
        self.name = f"cluster {chosen.context}" if chosen.context else "the cluster of this pod"
        self.namespace = chosen.namespace
        self._access = SignedIn(chosen.files, chosen.context)
        self.reader = Reader(self._access)
        self.daemons = Daemons(self._access, self.reader)

    def open_store(self) -> Store:
        return KubernetesStore(self._access)

    def ask(self, query: str) -> Answers:
        return self.daemons.ask(query)

    def about_nodes(self) -> Mapping[str, Mapping[str, Any]]:
        """Return by node how its daemon's pod is; nothing where this user may not see that."""
        try:
            pods = self.daemons.pods()
        except MeshnetError:  # who asks the daemons as well is told
            return {}
        return {node: {"daemon": pod.condition} for node, pod in pods.items()}

    def findings(self) -> Sequence[Finding]:
        from meshnet.cli.cluster.doctor import check_cluster  # noqa: PLC0415 - for doctor alone

        return check_cluster(self)
