"""Daemons of nodes, as an API server knows them: by the token of a pod that runs on a node."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from meshnet.model.resource import API_VERSION
from tests.cluster.direct import Direct
from tests.cluster.resources import MANIFESTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.direct import Answer
    from tests.cluster.machine.api_server import ApiServer

NODES = ("n1", "n2")
NAMESPACE = "policy"
TOPOLOGIES = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/topologies"
RECORDS = f"/apis/{API_VERSION}/meshnodes"
LIMIT_S = 60.0


class Daemons:
    """All that is installed, the readiness gate too, two nodes, and a daemon's pod on each."""

    def __init__(self, server: ApiServer, scratch: Path) -> None:
        self.server = server
        self._scratch = scratch
        self._made: dict[str, Direct] = {}
        server.kubectl("apply", "-k", str(MANIFESTS / "overlays" / "readiness-gate"))
        nodes = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in NODES]
        server.apply(*nodes, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        server.apply(*map(pod_on, NODES))
        self._wait_for_the_policy()

    def of(self, node: str) -> Direct:
        """A connection with the token of the daemon of a node; of ``""``: with one that is bound to no pod."""
        if node not in self._made:
            bound = ["--bound-object-kind=Pod", f"--bound-object-name=meshnet-{node}"] if node else []
            client = self.server.bearer(self.server.token("meshnet", "meshnet", *bound))
            self._made[node] = Direct(client.kubeconfig, self._scratch)
        return self._made[node]

    def uid(self, node: str) -> str:
        return str(self.server.get("node", node)["metadata"]["uid"])

    def close(self) -> None:
        for direct in self._made.values():
            direct.close()

    def _wait_for_the_policy(self) -> None:
        """The server takes a new policy into use a moment later."""
        end = time.monotonic() + LIMIT_S
        while self.of("n1").ask("POST", f"{RECORDS}?dryRun=All", record("probe", "n1", "u")).status == 201:
            assert time.monotonic() < end, "waited for the policy to be in force"
            time.sleep(0.2)


def pod_on(node: str) -> dict[str, Any]:
    """A daemon's pod, as far as the API server knows of it."""
    spec = {"serviceAccountName": "meshnet", "nodeName": node, "containers": [{"name": "meshnet", "image": "none"}]}
    metadata = {"name": f"meshnet-{node}", "namespace": "meshnet"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def record(name: str, owner: str = "", owner_uid: str = "") -> dict[str, Any]:
    """A node's record, owned by a Node."""
    reference = {"apiVersion": "v1", "kind": "Node", "name": owner, "uid": owner_uid}
    metadata = {"name": name, "ownerReferences": [reference]} if owner else {"name": name}
    return {"apiVersion": API_VERSION, "kind": "MeshNode", "metadata": metadata, "spec": {"addresses": ["192.0.2.1"]}}


def refused(answer: Answer, *words: str) -> bool:
    """Whether it was refused, by whom the words tell."""
    return answer.status in {403, 422} and all(word in answer.message for word in words)
