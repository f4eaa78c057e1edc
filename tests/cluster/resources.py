"""Our resources on an API server, for tests of what it makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshnet.model.resource import API_VERSION

if TYPE_CHECKING:
    from tests.cluster.direct import Answer, Direct
    from tests.cluster.machine.client import Client

MANIFESTS = Path(__file__).parents[2] / "manifests"
BASE = MANIFESTS / "base"
RESOURCES = tuple(BASE / name for name in ("crd.yaml", "meshnode.yaml", "gwirekobj.yaml"))
NAMESPACE = "crd"
TOPOLOGIES = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/topologies"
MERGE = "application/merge-patch+json"
LINK = {"uid": 1, "peer_pod": "r2", "local_intf": "eth1", "peer_intf": "eth2"}


def prepared(server: Client) -> None:
    """Have our resources there, ready to be used."""
    for file in RESOURCES:
        server.kubectl("apply", "-f", str(file))
    server.kubectl(
        "wait", "--for=condition=Established", "--timeout=60s", *(f"--filename={file}" for file in RESOURCES)
    )


def namespace_for(server: Client) -> None:
    """Have the namespace of `TOPOLOGIES`."""
    server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})


def tried(api: Direct, document: dict[str, Any], validation: str = "Ignore") -> Answer:
    """What the server says to a new Topology, which it does not keep."""
    metadata = {**document["metadata"], "namespace": NAMESPACE}
    path = f"{TOPOLOGIES}?dryRun=All&fieldValidation={validation}"
    answer = api.ask("POST", path, {**document, "metadata": metadata})
    assert answer.status in {201, 400, 422}, answer
    return answer


def made(api: Direct, name: str, **parts: Any) -> dict[str, Any]:
    """A Topology that is kept."""
    document = {"apiVersion": API_VERSION, "kind": "Topology", "metadata": {"name": name}, **parts}
    answer = api.ask("POST", TOPOLOGIES, document)
    assert answer.status == 201, answer.message
    return answer.document
