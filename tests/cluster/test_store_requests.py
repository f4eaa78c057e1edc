"""What the store sends, counted by the API server's own log."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import Conflict
from meshnet.model.resource import Kind
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.nodes import NodeCache
from meshnet.stores.base import Event
from meshnet.testing.stores.handles import node, topology
from tests.cluster.store_server import unhurried, wipe

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from meshnet.stores.kubernetes.store import KubernetesStore
    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster

REST_S = 8.0


class Counter:
    """The requests of meshnet's programs since it was made."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._seen = len(server.audit())

    def requests(self) -> list[str]:
        """Verb, resource and, for what went wrong, the status of each that is answered."""
        time.sleep(0.3)  # the log is written behind the answers
        told = []
        for event in self._server.audit()[self._seen :]:
            if event["userAgent"].startswith("meshnet/") and event["stage"] == "ResponseComplete":
                reference, code = event["objectRef"], event["responseStatus"]["code"]
                resource = "/".join(filter(None, (reference["resource"], reference.get("subresource"))))
                told.append(f"{event['verb']} {resource}" + (f" {code}" if code >= 400 else ""))
        return told

    def watches(self) -> list[str]:
        """Resources of the watches that began."""
        return [
            event["objectRef"]["resource"]
            for event in self._server.audit()[self._seen :]
            if event["verb"] == "watch"
            and event["userAgent"].startswith("meshnet/")
            and event["stage"] == "ResponseStarted"
        ]


def run(server: ApiServer, test: Callable[[KubernetesStore], Coroutine[None, None, None]]) -> None:
    wipe(server)

    async def bounded() -> None:
        store = unhurried(server)
        try:
            async with asyncio.timeout(100):
                await test(store)
        finally:
            await store.close()

    asyncio.run(bounded())


def test_at_rest_only_the_watches_stand(store_server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        counter = Counter(store_server)
        caches = (TopologyCache(store, lambda key: None), NodeCache(store, lambda name: None))
        following = [asyncio.create_task(cache.run()) for cache in caches]
        for cache in caches:
            await cache.synced.wait()
        await asyncio.sleep(REST_S)
        assert sorted(await asyncio.to_thread(counter.requests)) == ["list meshnodes", "list topologies"]
        assert sorted(counter.watches()) == ["meshnodes", "topologies"]
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    run(store_server, test)


def test_a_status_is_one_request(store_server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        made = await store.apply(topology())
        counter = Counter(store_server)
        where = (Kind.TOPOLOGY, "default", "r1")
        await store.patch_status(*where, {"node": "n1"}, resource_version=made.resource_version)
        assert await asyncio.to_thread(counter.requests) == ["patch topologies/status"]
        with pytest.raises(Conflict):
            await store.patch_status(*where, {"node": "n2"}, resource_version=made.resource_version)
        assert await asyncio.to_thread(counter.requests) == ["patch topologies/status", "patch topologies/status 409"]

    run(store_server, test)


def test_what_the_others_are(store_server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        counter = Counter(store_server)
        await store.apply(node())
        await store.apply(node())
        await store.apply(node() | {"spec": {"address": "192.0.2.2"}})
        await store.patch(Kind.NODE, "", "n1", {"spec": {"port": 1}})
        event = Event("MeshNode n1", "Normal", "Up", "up", "meshnetd n1")
        await store.record(event)
        await store.record(event)
        with contextlib.suppress(Conflict):
            await store.apply(node(), resource_version="")
        assert await asyncio.to_thread(counter.requests) == [
            *("get meshnodes 404", "create meshnodes"),
            "get meshnodes",
            *("get meshnodes", "update meshnodes"),
            "patch meshnodes",
            *("create events", "patch events"),
            "create meshnodes 409",
        ]

    run(store_server, test)
