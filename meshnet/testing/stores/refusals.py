"""What a store does not let in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.errors import InvalidObject
from meshnet.model.resource import Kind
from meshnet.testing.stores.handles import Suite, opened, topology

if TYPE_CHECKING:
    from meshnet.testing.stores.handles import Opener


class RefusalTests(Suite):
    """What is let in."""

    @pytest.mark.parametrize(
        ("wrong", "path"),
        [
            ({"apiVersion": "v1"}, "apiVersion"),
            ({"kind": "Pod"}, "kind"),
            ({"metadata": None}, "metadata"),
            ({"metadata": {}}, "metadata.name"),
            ({"metadata": {"name": "R1"}}, "metadata.name"),
            ({"metadata": {"name": "a" * 254}}, "metadata.name"),
            ({"metadata": {"name": "r1\n"}}, "metadata.name"),
            ({"metadata": {"name": "r1", "namespace": "a.b"}}, "metadata.namespace"),
            ({"metadata": {"name": "r1", "labels": {"n": 1}}}, "metadata.labels.n"),
            ({"metadata": {"name": "r1", "annotations": []}}, "metadata.annotations"),
            ({"metadata": {"name": "r1", "finalizers": "x"}}, "metadata.finalizers"),
            ({"kind": "MeshNode", "metadata": {"name": "n1", "namespace": "default"}}, "metadata.namespace"),
            ({"spec": []}, "spec"),
            ({"spec": {"links": [{"uid": float("nan")}]}}, "spec.links[0].uid"),
            ({"spec": {"links": [b"x"]}}, "spec.links[0]"),
        ],
    )
    def test_a_wrong_document(self, opener: Opener, wrong: dict[str, Any], path: str) -> None:
        async def run() -> None:
            async with opened(opener, 1) as (store,):
                with pytest.raises(InvalidObject) as caught:
                    await store.apply(topology() | wrong)
                assert [problem.path for problem in caught.value.problems] == [path]
                assert (await store.list(Kind.TOPOLOGY)).items == []

        asyncio.run(run())

    @pytest.mark.parametrize(
        ("patch", "path"),
        [
            ({"metadata": {"name": "r2"}}, "metadata.name"),
            ({"metadata": {"namespace": "other"}}, "metadata.namespace"),
            ({"metadata": None}, "metadata"),
            ({"kind": "MeshNode"}, "kind"),
            ({"apiVersion": None}, "apiVersion"),
            ({"spec": 5}, "spec"),
            ({"metadata": {"labels": {"a": True}}}, "metadata.labels.a"),
            (["spec"], "patch"),
        ],
    )
    def test_a_wrong_patch(self, opener: Opener, patch: Any, path: str) -> None:
        async def run() -> None:
            async with opened(opener, 1) as (store,):
                made = await store.apply(topology())
                with pytest.raises(InvalidObject) as caught:
                    await store.patch(Kind.TOPOLOGY, "default", "r1", patch)
                assert [problem.path for problem in caught.value.problems] == [path]
                assert await store.get(Kind.TOPOLOGY, "default", "r1") == made

        asyncio.run(run())
