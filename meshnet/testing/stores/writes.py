"""What a write does."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.errors import Conflict, NotFound
from meshnet.model.resource import Kind
from meshnet.testing.stores.handles import Suite, node, topology, two_handles

if TYPE_CHECKING:
    from meshnet.stores.base import Store


NO_NAMES = ("", ".", "..", "r2/status", "r2?", "R2", "r\udcff", "r" * 254)
"""What no object and no namespace is called; in a URL some of them mean something else."""


class WriteTests(Suite):
    """apply, patch, patch_status, delete."""

    @two_handles
    async def test_a_new_object_is_filled_in(self, one: Store, other: Store) -> None:
        made = await one.apply(topology())
        assert made.uid
        assert made.resource_version
        assert (made.generation, made.key) == (1, ("default", "r1"))
        assert made.metadata["creationTimestamp"].endswith("Z")
        assert await other.get(Kind.TOPOLOGY, "default", "r1") == made

    @two_handles
    async def test_the_namespace_is_default_unless_given(self, one: Store, other: Store) -> None:
        document = topology()
        del document["metadata"]["namespace"]
        assert (await one.apply(document)).namespace == "default"
        assert (await other.get(Kind.TOPOLOGY, "", "r1")).namespace == "default"

    @two_handles
    async def test_a_write_that_changes_nothing_leaves_no_trace(self, one: Store, other: Store) -> None:
        made = await one.apply(topology())
        await one.patch_status(Kind.TOPOLOGY, "default", "r1", {"node": "n1"})
        before = await other.list(Kind.TOPOLOGY)
        await other.apply(topology())
        await one.patch(Kind.TOPOLOGY, "default", "r1", {"spec": made.spec})
        again = await one.patch_status(Kind.TOPOLOGY, "default", "r1", {"node": "n1", "none": None})
        assert again == before.items[0]
        after = await other.list(Kind.TOPOLOGY)
        assert after.items == before.items
        assert after.revision == before.revision or not self.alone

    @two_handles
    async def test_apply_replaces_all_but_metadata_and_status(self, one: Store, other: Store) -> None:
        await one.apply(topology(extra=[1]))
        await other.patch_status(Kind.TOPOLOGY, "default", "r1", {"node": "n1"})
        again = await one.apply(topology(spec={"links": None}))
        assert "extra" not in again.document
        assert not again.spec.get("links")
        assert (again.status, again.generation) == ({"node": "n1"}, 2)

    @two_handles
    async def test_apply_adds_to_what_others_gave_an_object(self, one: Store, other: Store) -> None:
        for document in (topology(), node()):
            kind, where = (
                Kind(document["kind"]),
                (document["metadata"].get("namespace", ""), document["metadata"]["name"]),
            )
            await one.apply(document)
            await other.patch(kind, *where, {"metadata": self._metadata("theirs", "1", "a")})
            again = await one.apply(document | {"metadata": document["metadata"] | self._metadata("ours", "2", "b")})
            assert again.metadata["labels"] == {"theirs": "1", "ours": "2", "both": "2"}
            assert again.metadata["annotations"] == {"theirs/x": "1", "ours/x": "2", "both/x": "2"}
            assert again.metadata["finalizers"] == ["both/x", "theirs/x", "ours/x"]
            owners = [(owner["name"], owner["uid"]) for owner in again.metadata["ownerReferences"]]
            assert owners == [("both-2", "u"), ("theirs", "u-a"), ("ours", "u-b")]
            assert await one.apply(document) == again
            nothing = dict.fromkeys(("labels", "annotations", "finalizers", "ownerReferences"))
            assert await one.apply(document | {"metadata": document["metadata"] | nothing}) == again

    @staticmethod
    def _metadata(who: str, value: str, uid: str) -> dict[str, Any]:
        """What somebody gives an object, and what two give it."""
        return {
            "labels": {who: value, "both": value},
            "annotations": {f"{who}/x": value, "both/x": value},
            "finalizers": ["both/x", f"{who}/x"],
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": name, "uid": owner}
                for name, owner in ((f"both-{value}", "u"), (who, f"u-{uid}"))
            ],
        }

    @two_handles
    async def test_what_is_not_understood_is_kept_as_written(self, one: Store, other: Store) -> None:
        metadata = {
            "name": "r1",
            "annotations": {"a/b": "ü\n"},
            "finalizers": ["x/y"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u"}],
        }
        document = topology(metadata=metadata, spec={"links": [], "own": {"deep": [1, 2.5, None, True]}}, top="level")
        await one.apply(document)
        await one.patch_status(Kind.TOPOLOGY, "default", "r1", {"theirs": {"a": 1}})
        kept = await other.patch_status(Kind.TOPOLOGY, "default", "r1", {"ours": 1})
        assert (kept.spec, kept.document["top"]) == (document["spec"], "level")
        assert {field: kept.metadata[field] for field in metadata} == metadata
        assert kept.status == {"theirs": {"a": 1}, "ours": 1}

    @two_handles
    async def test_what_the_store_fills_cannot_be_set(self, one: Store, other: Store) -> None:
        foreign = {"uid": "mine", "resourceVersion": "77", "generation": 9, "creationTimestamp": None}
        document = topology(metadata={"name": "r1"} | foreign, status={"node": "elsewhere"})
        made = await one.apply(document)
        assert made.uid != "mine"
        assert (made.generation, dict(made.status)) == (1, {})
        again = await other.apply(document)
        patched = await one.patch(Kind.TOPOLOGY, "default", "r1", {"metadata": {"uid": None}, "status": {"node": "x"}})
        assert patched == again == made

    @two_handles
    async def test_generation_follows_the_spec_alone(self, one: Store, other: Store) -> None:
        await one.apply(topology(spec={"links": [{"down": 1}]}))
        label = {"metadata": {"labels": {"a": "b"}}}
        assert (await other.patch(Kind.TOPOLOGY, "default", "r1", label)).generation == 1
        assert (await one.patch_status(Kind.TOPOLOGY, "default", "r1", {"spec": 1})).generation == 1
        # Python holds True and 1 for equal; a spec does not.
        assert (await one.patch(Kind.TOPOLOGY, "default", "r1", {"spec": {"links": [{"down": True}]}})).generation == 2

    @two_handles
    async def test_preconditions(self, one: Store, other: Store) -> None:
        where = (Kind.TOPOLOGY, "default", "r1")
        with pytest.raises(Conflict, match="Topology default/r1"):
            await one.apply(topology(), resource_version="1")
        made = await one.apply(topology(), resource_version="")
        with pytest.raises(Conflict, match="exists"):
            await other.apply(topology(), resource_version="")
        newer = await other.patch_status(*where, {"node": "n1"}, resource_version=made.resource_version)
        for write in (one.patch, one.patch_status):
            with pytest.raises(Conflict):
                await write(*where, {}, resource_version=made.resource_version)
        with pytest.raises(Conflict):
            await one.apply(topology(), resource_version=made.resource_version)
        assert await one.apply(topology(), resource_version=newer.resource_version) == newer

    @two_handles
    async def test_writers_with_preconditions_lose_nothing(self, one: Store, other: Store) -> None:
        await one.apply(topology(spec={"counter": 0}))

        async def count(store: Store) -> None:
            done = 0
            while done < 20:
                now = await store.get(Kind.TOPOLOGY, "default", "r1")
                await asyncio.sleep(0)
                patch = {"spec": {"counter": now.spec["counter"] + 1}}
                with contextlib.suppress(Conflict):
                    await store.patch(*(Kind.TOPOLOGY, *now.key), patch, resource_version=now.resource_version)
                    done += 1

        await asyncio.gather(count(one), count(other), count(one))
        assert (await one.get(Kind.TOPOLOGY, "default", "r1")).spec == {"counter": 60}

    @two_handles
    async def test_what_is_not_there(self, one: Store, other: Store) -> None:
        await other.apply(topology("r2"))
        where = (Kind.TOPOLOGY, "default", "r1")
        for ask in (
            one.get(*where),
            one.patch(*where, {}),
            one.patch_status(*where, {}),
            one.delete(*where),
            one.get(Kind.TOPOLOGY, "elsewhere", "r2"),
            one.get(Kind.NODE, "", "r2"),
            *(ask(Kind.TOPOLOGY, "default", name) for ask in (one.get, one.delete) for name in NO_NAMES),
            *(one.get(Kind.NODE, "", name) for name in NO_NAMES),
            *(ask(Kind.TOPOLOGY, name, "r2") for ask in (one.get, one.delete) for name in NO_NAMES if name),
            *(one.patch(Kind.TOPOLOGY, "default", name, {}) for name in NO_NAMES),
            *(one.patch_status(Kind.TOPOLOGY, "default", name, {}) for name in NO_NAMES),
        ):
            with pytest.raises(NotFound):
                await ask
        assert [each.name for each in (await one.list(Kind.TOPOLOGY)).items] == ["r2"]

    @two_handles
    async def test_a_deleted_object_comes_back_as_another(self, one: Store, other: Store) -> None:
        made = await one.apply(topology())
        await other.patch_status(Kind.TOPOLOGY, "default", "r1", {"node": "n1"})
        await other.delete(Kind.TOPOLOGY, "default", "r1")
        with pytest.raises(NotFound):
            await one.get(Kind.TOPOLOGY, "default", "r1")
        again = await one.apply(topology())
        assert again.uid != made.uid
        assert again.resource_version != made.resource_version
        assert (again.generation, dict(again.status)) == (1, {})

    @two_handles
    async def test_apply_all(self, one: Store, other: Store) -> None:
        made = await one.apply_all([topology("r2"), node(), topology("r1")])
        assert [resource.name for resource in made] == ["r2", "n1", "r1"]
        assert (await other.list(Kind.TOPOLOGY)).items == [made[2], made[0]]

    @two_handles
    async def test_an_answer_is_nobody_elses(self, one: Store, other: Store) -> None:
        document = topology()
        made = await one.apply(document)
        document["spec"]["links"].append("mine")
        made.spec["links"].clear()
        assert (await other.get(Kind.TOPOLOGY, "default", "r1")).spec == topology()["spec"]
