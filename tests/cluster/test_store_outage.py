"""The API server away, frozen, back: what a store and those who follow it make of that."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable, WatchExpired
from meshnet.model.resource import Kind
from meshnet.reconcile.cache import TopologyCache
from meshnet.stores.kubernetes import watch as kubernetes_watch
from meshnet.testing.stores.handles import next_change, topology
from tests.cluster.machine.api_server import lone_api_server
from tests.cluster.store_server import access_of, prepare, unhurried

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from meshnet.stores.kubernetes.store import KubernetesStore
    from tests.cluster.machine.api_server import ApiServer
    from tests.cluster.machine.binaries import Binaries

pytestmark = [
    pytest.mark.cluster,
    # Python 3.11's ssl forgets to close a socket that is reset before the handshake, and leaves it to the collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]

BACK_S = 60
"""Until a daemon notices that the server is back, the longest pause between two tries included."""

MISSING = r"no resource meshnodes\.networkop\.co\.uk: kubectl apply"


@pytest.fixture(scope="module")
def server(binaries: Binaries) -> Iterator[ApiServer]:
    """One of our own, to be broken."""
    with lone_api_server(binaries) as server:
        prepare(server)
        yield server


def run(server: ApiServer, test: Callable[[KubernetesStore], Coroutine[None, None, None]]) -> None:
    async def bounded() -> None:
        store = unhurried(server)
        try:
            async with asyncio.timeout(200):
                await test(store)
        finally:
            await store.close()

    asyncio.run(bounded())
    gc.collect()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(BACK_S):
        while not true():  # noqa: ASYNC110  (by requests, at intervals that are the store's own)
            await asyncio.sleep(0.05)


def test_a_watch_outlives_its_connections(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_watch, "CONNECTION_S", (2, 2))

    async def test(store: KubernetesStore) -> None:
        async def write() -> None:
            for number in range(100):
                await store.patch_status(Kind.TOPOLOGY, "default", "counter", {"number": number})
                await asyncio.sleep(0.08)

        await store.apply(topology("counter"))
        since = (await store.list(Kind.TOPOLOGY)).revision
        seen: list[int] = []
        async with contextlib.aclosing(store.watch(Kind.TOPOLOGY, since)) as watch:
            writing = asyncio.create_task(write())
            while len(seen) < 100:
                event = await next_change(watch)
                assert event.resource is not None
                seen.append(event.resource.status["number"])
            await writing
        assert seen == list(range(100))

    run(server, test)


def keys(cache: TopologyCache) -> set[tuple[str, str]]:
    return {entry.resource.key for entry in cache.entries()}


def test_who_follows_keeps_what_he_knows_and_catches_up(server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        await store.apply(topology("kept"))
        await store.apply(topology("goes"))
        cache = TopologyCache(store, lambda key: None)
        following = asyncio.create_task(cache.run())
        async with asyncio.timeout(BACK_S):
            await cache.synced.wait()
        known = {("default", "kept"), ("default", "goes")}
        assert known <= keys(cache)
        server.request("cut")
        try:
            with pytest.raises(StoreUnavailable, match="get topologies at the API server https://127"):
                await store.get(Kind.TOPOLOGY, "default", "kept")
            await asyncio.sleep(3)
            assert known <= keys(cache)
            assert not following.done()
        finally:
            server.request("start")
            await asyncio.to_thread(server.wait_ready)
        other = unhurried(server)
        await other.delete(Kind.TOPOLOGY, "default", "goes")
        await other.apply(topology("comes"))
        await other.close()
        now = {("default", "kept"), ("default", "comes")}
        await until(lambda: now == keys(cache) - {("default", "counter"), ("default", "frozen")})
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    run(server, test)


async def _ask_often(store: KubernetesStore) -> None:
    """What a server was about to answer when it was frozen it may answer still."""
    for _ in range(5):
        await store.get(Kind.TOPOLOGY, "default", "frozen")


def test_a_frozen_server_is_one_that_does_not_answer(server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        await store.apply(topology("frozen"))
        server.request("freeze")
        try:
            with pytest.raises(StoreUnavailable, match=r"no answer in 10 s|timed out"):
                await _ask_often(store)
        finally:
            server.request("thaw")
        assert (await store.get(Kind.TOPOLOGY, "default", "frozen")).name == "frozen"

    run(server, test)


def test_a_place_that_the_server_has_forgotten(server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        await store.list(Kind.TOPOLOGY)
        with pytest.raises(WatchExpired, match="list again"):
            await next_change(store.watch(Kind.TOPOLOGY, "1"))

    run(server, test)


def test_a_resource_that_is_not_installed_is_not_an_absent_object(server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        server.kubectl("delete", "crd", "meshnodes.networkop.co.uk")
        try:
            await until(lambda: server.try_kubectl("get", "meshnodes.networkop.co.uk").returncode != 0)
            with pytest.raises(StoreUnavailable, match=MISSING):
                await store.get(Kind.NODE, "", "n1")
            with pytest.raises(StoreUnavailable, match=MISSING):
                await store.list(Kind.NODE)
        finally:
            prepare(server)

    run(server, test)


def test_a_context_of_a_kubeconfig(server: ApiServer) -> None:
    access = access_of(server)
    assert access.configuration()[0].host == server.url
