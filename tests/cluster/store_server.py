"""An API server for tests of the store: our resources without a schema. What one lets in is another matter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from meshnet.model.resource import GROUP, Kind
from meshnet.stores.kubernetes.access import Access
from meshnet.stores.kubernetes.rate import RateLimit
from meshnet.stores.kubernetes.request import PLURALS, Place, Request, path_of
from meshnet.stores.kubernetes.store import KubernetesStore

if TYPE_CHECKING:
    from tests.cluster.machine.api_server import ApiServer
    from tests.cluster.machine.client import Client

NAMESPACES = ("x", "y", "elsewhere")
"""What the suites of stores use, besides ``default``."""


def prepare(server: ApiServer) -> None:
    """Make the resources, and the namespaces that the suites use."""
    server.apply(*(_definition(kind) for kind in Kind), *(_namespace(name) for name in NAMESPACES))
    names = [f"crd/{plural}.{GROUP}" for plural in PLURALS.values()]
    server.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)


def access_of(client: Client) -> Access:
    """How a store reaches the server as somebody."""
    return Access(kubeconfig=str(client.kubeconfig))


def unhurried(client: Client) -> KubernetesStore:
    """A store that sends as fast as it can."""
    return KubernetesStore(access_of(client), RateLimit(rate=1e6, burst=1_000_000))


def wipe(server: ApiServer) -> None:
    """Remove every object of ours and every event."""

    async def run() -> None:
        store = unhurried(server)
        for kind in Kind:
            for item in (await store.list(kind)).items:
                if item.metadata.get("finalizers"):
                    await store.patch(kind, *item.key, {"metadata": {"finalizers": None}})
        for namespace in ("default", *NAMESPACES):
            await _delete_all(store, Place(Kind.TOPOLOGY, namespace).list().path)
            await _delete_all(store, path_of("/api/v1", namespace, "events"))
        await _delete_all(store, Place(Kind.NODE, "").list().path)
        await store.close()

    asyncio.run(run())


async def _delete_all(store: KubernetesStore, path: str) -> None:
    await store._calls.send(Request("delete", "", path, path))


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _definition(kind: Kind) -> dict[str, Any]:
    anything = {"type": "object", "nullable": True, "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema["properties"] = {"spec": anything, "status": anything}
    version = {"name": "v1beta1", "served": True, "storage": True, "subresources": {"status": {}}}
    version["schema"] = {"openAPIV3Schema": schema}
    names = {"kind": kind.value, "plural": PLURALS[kind]}
    spec = {"group": GROUP, "names": names, "scope": "Namespaced" if kind.namespaced else "Cluster"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURALS[kind]}.{GROUP}"},
        "spec": {**spec, "versions": [version]},
    }
