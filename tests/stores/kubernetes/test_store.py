from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.model.resource import Kind, Resource
from meshnet.stores.kubernetes.store import KubernetesStore
from meshnet.testing.stores.handles import node, topology
from tests.stores.kubernetes.server import Reply, Server

if TYPE_CHECKING:
    from pathlib import Path

THEIRS = {
    "labels": {"helm.sh/chart": "x"},
    "annotations": {"argocd.argoproj.io/tracking-id": "x"},
    "finalizers": ["example.com/guard"],
    "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u1"}],
}
FILLED = {"uid": "u", "resourceVersion": "7", "generation": 1, "creationTimestamp": "2026-01-02T03:04:05Z"}


@pytest.mark.parametrize("held", [True, False])
def test_a_deletion_tells_what_finalizers_hold(held: bool, tmp_path: Path) -> None:
    left = topology() | {
        "metadata": topology()["metadata"] | THEIRS | FILLED | {"deletionTimestamp": "2026-01-02T03:04:06Z"}
    }
    gone = {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"name": "r1"}}

    async def run() -> Resource | None:
        store = KubernetesStore(server.access(tmp_path))
        found = await store.delete(Kind.TOPOLOGY, "default", "r1")
        await store.close()
        return found

    with Server(Reply(200, left if held else gone)) as server:
        found = asyncio.run(run())

    assert (found and found.metadata["finalizers"]) == (THEIRS["finalizers"] if held else None)


@pytest.mark.parametrize("document", [topology(), node()], ids=["Topology", "MeshNode"])
def test_what_others_gave_an_object_is_sent_with_what_is_applied(tmp_path: Path, document: dict[str, Any]) -> None:
    there = document | {"metadata": document["metadata"] | THEIRS | FILLED, "status": {"node": "n1"}}
    applied = document | {"metadata": document["metadata"] | {"labels": {"ours": "x"}}, "spec": {"links": []}}

    async def run() -> None:
        store = KubernetesStore(server.access(tmp_path))
        await store.apply(applied)
        await store.close()

    with Server(Reply(200, there)) as server:
        asyncio.run(run())
        asked, sent = [asked.method for asked in server.asked], json.loads(server.asked[-1].body)

    assert asked == ["GET", "PUT"]
    labels = THEIRS["labels"] | {"ours": "x"}  # type: ignore[operator]
    assert sent["metadata"] == document["metadata"] | THEIRS | {"labels": labels, "resourceVersion": "7"}
    assert sent["spec"] == {"links": []}
