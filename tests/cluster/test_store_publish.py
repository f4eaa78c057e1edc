"""How many requests a pod's status takes, from ADD to DEL, counted by the API server's own log."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from meshnet.model.resource import Kind
from meshnet.reconcile.publish import PAUSE_S
from tests.cluster.store_server import unhurried, wipe
from tests.cluster.test_store_requests import Counter
from tests.reconcile.made import enter, join, link, topology
from tests.reconcile.test_publish import Room

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster

STATUS = "patch topologies/status"
PODS = {"r1": "r2", "r2": "r1"}


@contextlib.asynccontextmanager
async def node(server: ApiServer, name: str) -> AsyncGenerator[Room, None]:
    """A node's daemon, as far as it writes status, which knows the cluster's Topologies."""
    store = unhurried(server)
    room = Room(store, name)  # type: ignore[arg-type]  # the one that counts is the server here
    following = asyncio.create_task(room.cache.run())
    await asyncio.wait_for(room.cache.synced.wait(), 20)
    try:
        yield room
    finally:
        room.publisher.close()
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await store.close()


async def applied(server: ApiServer) -> None:
    user = unhurried(server)
    for name, peer in PODS.items():
        await user.apply(topology(name, link(1, "eth1", f"{peer}:eth1")))
    await user.close()


async def until_known(room: Room, node_name: str) -> None:
    """Wait until a watch has told that r1 runs on a node."""
    async with asyncio.timeout(20):
        while room.cache.topology(("default", "r1")).claim.node != node_name:  # type: ignore[union-attr]  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_one_write_at_add_one_when_all_is_up_one_at_del(store_server: ApiServer) -> None:
    wipe(store_server)

    async def test() -> None:
        await applied(store_server)
        async with node(store_server, "n1") as here, node(store_server, "n2") as there:
            counter = Counter(store_server)
            enter(here.table, here.r1, here.r2)
            for sandbox in (here.r1, here.r2):
                assert await here.publisher.claim(sandbox)
            assert await asyncio.to_thread(counter.requests) == [STATUS] * 2

            join(here.e1, here.e2)
            for _ in range(10):
                here.publisher.changed(here.r1)
                here.publisher.changed(here.r2)
                await asyncio.sleep(0.1)
            await asyncio.sleep(PAUSE_S + 1)
            assert await asyncio.to_thread(counter.requests) == [STATUS] * 4

            await until_known(there, "n1")
            await there.publisher.clear_absent()
            there.publisher.changed(there.r1)
            await there.publisher.flush()
            assert await asyncio.to_thread(counter.requests) == [STATUS] * 4

            for sandbox in (here.r1, here.r2):
                here.table.remove(sandbox)
                await here.publisher.clear(sandbox)
            assert await asyncio.to_thread(counter.requests) == [STATUS] * 6
            status = await here.status()
            assert (status["epoch"], "node" in status) == (1, False)

    asyncio.run(test())


def test_who_finds_it_changed_reads_it_once(store_server: ApiServer) -> None:
    wipe(store_server)

    async def test() -> None:
        await applied(store_server)
        user = unhurried(store_server)
        room = Room(user)  # type: ignore[arg-type]  # it follows nothing, so it does not hear of what comes next
        for name in PODS:
            await room.cache.reread(("default", name))
        await user.patch(Kind.TOPOLOGY, "default", "r1", {"metadata": {"labels": {"theirs": "x"}}})
        counter = Counter(store_server)
        enter(room.table, room.r1, room.r2)
        assert await room.publisher.claim(room.r1)
        wanted = [f"{STATUS} 409", "get topologies", STATUS]
        assert await asyncio.to_thread(counter.requests) == wanted
        room.publisher.close()
        await user.close()

    asyncio.run(test())
