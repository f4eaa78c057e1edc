"""A status of very many links that say very much, on a real API server: what it counts is more than one sees."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshnet.model.resource import API_VERSION
from tests.cluster.direct import Direct
from tests.cluster.resources import prepared
from tests.cluster.store_server import unhurried
from tests.reconcile.test_fitting import Full

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(("links", "message"), [(1500, "<" * 200), (4096, "x" * 1000)])
def test_a_pod_is_claimed_whatever_its_links_say(
    api_server: ApiServer, tmp_path: Path, links: int, message: str
) -> None:
    prepared(api_server)

    async def claimed() -> None:
        store = unhurried(api_server)
        try:
            full = Full(links, message, store)
            await full.claim()
            full.publisher.close()
        finally:
            await store.close()

    asyncio.run(claimed())
    api = Direct(api_server.kubeconfig, tmp_path)
    path = f"/apis/{API_VERSION}/namespaces/default/topologies/r1"
    found = api.ask("GET", path).document
    api.ask("DELETE", path)
    api.close()
    assert found["status"]["node"] == "n1"
    assert len(found["status"]["links"]) == links
    # where they have no room the server drops its notes, and no apply knows any more what it had set
    assert any("f:spec" in note["fieldsV1"] for note in found["metadata"]["managedFields"])
