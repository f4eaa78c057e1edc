"""The store with the resources as the manifests define them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.errors import InvalidObject, spelt
from meshnet.model.resource import GROUP, Kind
from meshnet.stores.kubernetes.request import PLURALS
from meshnet.testing.stores.handles import topology
from tests.cluster.machine.api_server import lone_api_server
from tests.cluster.store_server import unhurried

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from meshnet.stores.kubernetes.store import KubernetesStore
    from tests.cluster.machine.api_server import ApiServer
    from tests.cluster.machine.binaries import Binaries

pytestmark = pytest.mark.cluster

BASE = Path(__file__).parents[2] / "manifests/base"


@pytest.fixture(scope="module")
def server(binaries: Binaries) -> Iterator[ApiServer]:
    with lone_api_server(binaries) as server:
        for name in ("crd.yaml", "meshnode.yaml"):
            server.kubectl("apply", "--server-side", "-f", str(BASE / name))
        names = [f"crd/{plural}.{GROUP}" for plural in PLURALS.values()]
        server.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
        yield server


def run(server: ApiServer, test: Callable[[KubernetesStore], Coroutine[None, None, None]]) -> None:
    async def bounded() -> None:
        store = unhurried(server)
        try:
            async with asyncio.timeout(60):
                await test(store)
        finally:
            await store.close()

    asyncio.run(bounded())


def link(**fields: Any) -> dict[str, Any]:
    return {"uid": 1, "peer_pod": "r2", "local_intf": "eth1", "peer_intf": "eth1", **fields}


@pytest.mark.parametrize(
    ("links", "path", "value"),
    [
        ([link(uid="one")], "spec.links[0].uid", "one"),
        ([link(), link(local_intf="eth0")], "spec.links[1].local_intf", "eth0"),
        ([link(mtu=10)], "spec.links[0].mtu", 10),
        ([{"uid": 1, "peer_pod": "r2", "peer_intf": "eth1"}], "spec.links[0].local_intf", None),
        ([link(local_ip="10.0.0.1")], "spec.links[0].local_ip", "10.0.0.1"),
    ],
)
def test_what_the_schema_refuses_is_told_with_its_place(
    server: ApiServer, links: list[dict[str, Any]], path: str, value: object
) -> None:
    async def test(store: KubernetesStore) -> None:
        with pytest.raises(InvalidObject) as caught:
            await store.apply(topology("bad", spec={"links": links}))
        assert (path, spelt(value)) in [(problem.path, spelt(problem.value)) for problem in caught.value.problems]
        assert caught.value.object == "Topology default/bad"

    run(server, test)


def test_what_the_schema_does_not_know_comes_back_unharmed(server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        options = {"latency": {"ms": 5, "list": [1, {"a": "b"}]}}
        document = topology(spec={"links": [link(options=options, own={"x": [1]})], "own": {"y": 2}}, top={"z": 3})
        document["metadata"] |= {"labels": {"theirs": "l"}, "annotations": {"their/s": "a"}, "finalizers": ["their/s"]}
        made = await store.apply(document)
        await store.patch_status(Kind.TOPOLOGY, "default", "r1", {"skipped": None, "theirs": {"a": 1}})
        kept = await store.patch_status(Kind.TOPOLOGY, "default", "r1", {"node": "n1"}, resource_version=None)
        assert (kept.spec, kept.document["top"]) == (document["spec"], {"z": 3})
        for field in ("labels", "annotations", "finalizers"):
            assert kept.metadata[field] == document["metadata"][field]
        assert kept.status == {"theirs": {"a": 1}, "node": "n1"}
        assert kept.generation == made.generation

    run(server, test)


def test_a_deleted_object_waits_for_its_finalizers(server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        document = topology("held")
        document["metadata"]["finalizers"] = ["their/s"]
        await store.apply(document)
        left = await store.delete(Kind.TOPOLOGY, "default", "held")
        assert left is not None
        assert left.metadata["finalizers"] == ["their/s"]
        assert (await store.get(Kind.TOPOLOGY, "default", "held")).metadata["deletionTimestamp"]
        await store.patch(Kind.TOPOLOGY, "default", "held", {"metadata": {"finalizers": None}})
        await store.apply(topology("free"))
        assert await store.delete(Kind.TOPOLOGY, "default", "free") is None
        names = [item.name for item in (await store.list(Kind.TOPOLOGY)).items]
        assert "held" not in names

    run(server, test)


def test_a_namespace_that_is_not_there(server: ApiServer) -> None:
    async def test(store: KubernetesStore) -> None:
        with pytest.raises(InvalidObject, match=r"metadata\.namespace: 'nowhere': must exist"):
            await store.apply(topology(namespace="nowhere"))

    run(server, test)
