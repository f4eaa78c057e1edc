"""Whether a pod has a Topology: asked where the watch has not told of one, and never taken for absent by mistake."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshnet.daemon.cni_calls import CniCalls
from meshnet.errors import StoreUnavailable
from meshnet.reconcile.cache import TopologyCache
from meshnet.stores.memory import MemoryStore
from tests.reconcile.made import link, topology

if TYPE_CHECKING:
    from meshnet.model.resource import Kind, Resource

REQUEST = cast("Any", SimpleNamespace(args=SimpleNamespace(pod_name="r1", pod_namespace="default")))


class Away(MemoryStore):
    """Answers nothing that it is asked."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Resource:
        raise StoreUnavailable("away")


def calls(store: MemoryStore) -> CniCalls:
    """Return what answers calls when the watch has told all that there was, and nothing since."""
    cache = TopologyCache(store, lambda _: None)
    cache.synced.set()
    return CniCalls(cast("Any", None), cache)


def test_what_the_watch_has_not_told_is_asked_for() -> None:
    async def main() -> None:
        store = MemoryStore()
        answers = calls(store)
        assert await answers._topology(REQUEST) is None
        await store.apply(topology("r1", link(1, "eth1", "r2:eth1")))
        found = await answers._topology(REQUEST)
        assert found is not None
        assert found.name == "r1"

    asyncio.run(main())


def test_a_store_that_does_not_answer_is_not_absence() -> None:
    async def main() -> None:
        with pytest.raises(StoreUnavailable):
            await calls(Away())._topology(REQUEST)

    asyncio.run(main())
