"""The cache of Topologies, on a real store."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from meshnet.errors import Conflict, StoreUnavailable, WatchExpired
from meshnet.model.resource import Kind
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.follow import LONGEST_DELAY_S
from meshnet.stores.memory import MemoryStore
from tests.reconcile.made import Backup, link, topology
from tests.virtual_time import run

A, B = ("default", "a"), ("default", "b")


class FlakyStore(MemoryStore):
    """A store whose list or watch may be away.

    Attributes:
        listings: when it was asked for a list.
        lists_fail, watch_fails: what the next calls raise.
        watches_expire: a watch has no place to go on from.
    """

    def __init__(self, **settings):
        super().__init__(**settings)
        self.listings = []
        self.lists_fail = None
        self.watch_fails = None
        self.watches_expire = False
        self.gets = 0

    async def get(self, kind, namespace, name):
        self.gets += 1
        return await super().get(kind, namespace, name)

    async def list(self, kind, namespace=None):
        self.listings.append(asyncio.get_running_loop().time())
        if self.lists_fail is not None:
            raise self.lists_fail
        return await super().list(kind, namespace)

    async def watch(self, kind, since):
        if self.watches_expire:
            raise WatchExpired("too old")
        async with contextlib.aclosing(super().watch(kind, since)) as events:
            async for event in events:
                if self.watch_fails is not None:
                    error, self.watch_fails = self.watch_fails, None
                    raise error
                yield event


class SlowStore(FlakyStore):
    """A store that can be held up.

    Attributes:
        looks, answers: what it waits for when it is asked, and when it has looked.
    """

    def __init__(self):
        super().__init__()
        self.looks, self.answers = asyncio.Event(), asyncio.Event()
        self.looks.set()
        self.answers.set()

    async def get(self, *where):
        await self.looks.wait()
        found = await super().get(*where)
        await self.answers.wait()
        return found

    async def list(self, kind, namespace=None):
        await self.looks.wait()
        found = await super().list(kind, namespace)
        await self.answers.wait()
        return found


class Room:
    def __init__(self, store=None):
        self.store = store or FlakyStore()
        self.told = []
        self.cache = TopologyCache(self.store, self.told.append)

    @contextlib.asynccontextmanager
    async def following(self):
        task = asyncio.create_task(self.cache.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def claim(self, node, epoch):
        """Write a claim of the pod a at the version that the cache has, as a daemon does."""
        entry = self.cache.entry(A)
        version = entry.resource.resource_version
        status = {"node": node, "epoch": epoch}
        written = await self.store.patch_status(Kind.TOPOLOGY, *A, status, resource_version=version)
        self.cache.take(written, ours=True)

    async def news(self):
        """Let what was written be heard; return what was told since."""
        await asyncio.sleep(1)
        told, self.told[:] = list(self.told), []
        return told


def wired(name, *peers):
    return topology(name, *(link(n, f"eth{n}", f"{peer}:eth{n}") for n, peer in enumerate(peers, 1)))


def test_list_then_watch():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        assert not room.cache.synced.is_set()
        async with room.following():
            assert await room.news() == [A]
            assert room.cache.synced.is_set()
            await room.store.apply(wired("b", "a"))
            assert await room.news() == [B]
            assert [entry.topology.name for entry in room.cache.entries()] == ["a", "b"]
            await room.store.delete(Kind.TOPOLOGY, "default", "a")
            assert await room.news() == [A]
            assert room.cache.entry(A) is None
            assert room.cache.topology(A) is None
        assert len(room.store.listings) == 1

    run(main())


def test_edits_are_told_and_what_means_nothing_is_not():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        async with room.following():
            await room.news()
            await room.store.apply(wired("a", "b", "c"))
            assert await room.news() == [A]
            assert len(room.cache.topology(A).links) == 2
            await room.store.patch(Kind.TOPOLOGY, "default", "a", {"metadata": {"labels": {"x": "y"}}})
            assert await room.news() == []
            assert room.cache.entry(A).resource.metadata["labels"] == {"x": "y"}
            await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"links": []})
            assert await room.news() == []
            await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"node": "n2", "epoch": 2})
            assert await room.news() == [A]
            assert (room.cache.topology(A).claim.node, room.cache.topology(A).claim.epoch) == ("n2", 2)

    run(main())


def test_own_writes_are_taken_in_and_tell_nothing():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        async with room.following():
            await room.news()
            written = await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"node": "n1", "epoch": 1})
            room.cache.take(written, ours=True)
            assert room.cache.topology(A).claim.node == "n1"
            assert await room.news() == []

    run(main())


def test_a_claim_that_is_known_here_is_taken_in_and_tells_nothing():
    """The watch tells of an own write, now and then, before the store answers it."""

    async def main():
        room = Room()
        room.cache = TopologyCache(room.store, room.told.append, lambda key, claim: (key, claim.node) == (A, "n1"))
        await room.store.apply(wired("a", "b"))
        async with room.following():
            await room.news()
            await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"node": "n1", "epoch": 1})
            assert await room.news() == []
            assert room.cache.topology(A).claim.node == "n1"
            await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"node": "n2", "epoch": 2})
            assert await room.news() == [A]

    run(main())


def test_what_the_watch_tells_late_does_not_undo_an_own_write():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        async with room.following():
            await room.news()
            await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"node": "n0", "epoch": 1})
            written = await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"node": "n1", "epoch": 2})
            room.cache.take(written, ours=True)
            assert await room.news() == []
            assert room.cache.topology(A).claim.node == "n1"

    run(main())


def test_an_object_of_the_same_name_made_anew_is_another():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        async with room.following():
            await room.news()
            await room.store.delete(Kind.TOPOLOGY, "default", "a")
            await room.store.apply(wired("a", "c"))
            assert await room.news() == [A, A]
            assert room.cache.topology(A).links[0].peer_pod == "c"

    run(main())


def test_an_expired_watch_lists_again_and_misses_nothing():
    async def main():
        room = Room(FlakyStore(retention=4))
        for name in ("a", "b", "c"):
            await room.store.apply(wired(name, "x"))
        async with room.following():
            await room.news()
            # more than the log holds, at once: the watcher has fallen behind
            for _ in range(10):
                await room.store.apply(wired("a", "y", "z"))
                await room.store.apply(wired("a", "y"))
            await room.store.delete(Kind.TOPOLOGY, "default", "b")
            await room.store.apply(wired("d", "x"))
            told = await room.news()
            assert set(told) == {A, B, ("default", "d")}
            assert room.cache.entry(B) is None
            assert room.cache.topology(A).links[0].peer_pod == "y"
            assert {entry.topology.name for entry in room.cache.entries()} == {"a", "c", "d"}
        assert len(room.store.listings) == 2

    run(main())


def test_expired_in_the_midst_lists_at_once():
    async def main():
        room = Room()
        async with room.following():
            await room.news()
            room.store.watch_fails = WatchExpired("too old")
            await room.store.apply(wired("a", "x"))
            assert await room.news() == [A]
        first, second = room.store.listings
        assert second - first == pytest.approx(1, abs=0.1)

    run(main())


def test_a_watch_that_expires_again_and_again_lists_ever_later():
    async def main():
        room = Room()
        async with room.following():
            await room.news()
            room.store.watches_expire = True
            room.store.watch_fails = WatchExpired("too old")
            await room.store.apply(wired("a", "x"))
            await asyncio.sleep(300)
            assert 300 / LONGEST_DELAY_S < len(room.store.listings) < 40
            room.store.watches_expire = False
            await asyncio.sleep(LONGEST_DELAY_S)
            await room.store.apply(wired("b", "x"))
            assert B in await room.news()

    run(main())


def test_a_store_that_is_away_is_tried_again_ever_later_and_keeps_what_was_known():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "x"))
        async with room.following():
            await room.news()
            room.store.lists_fail = StoreUnavailable("away")
            room.store.watch_fails = StoreUnavailable("away")
            await room.store.apply(wired("b", "x"))
            await asyncio.sleep(300)
            assert room.cache.topology(A) is not None
            tries = len(room.store.listings)
            assert 300 / LONGEST_DELAY_S < tries < 40
            room.store.lists_fail = None
            await asyncio.sleep(LONGEST_DELAY_S)
            assert room.cache.topology(B) is not None

    run(main())


def test_after_a_time_of_health_the_first_try_is_soon_again():
    async def main():
        room = Room()
        async with room.following():
            await room.news()
            room.store.lists_fail = StoreUnavailable("away")
            room.store.watch_fails = StoreUnavailable("away")
            await room.store.apply(wired("a", "x"))
            await asyncio.sleep(300)
            room.store.lists_fail = None
            await asyncio.sleep(3600)
            room.store.watch_fails = StoreUnavailable("away for a moment")
            await room.store.apply(wired("b", "x"))
            await asyncio.sleep(2)
            assert room.cache.topology(B) is not None

    run(main())


def test_not_synced_until_a_list_was_had():
    async def main():
        room = Room()
        room.store.lists_fail = StoreUnavailable("away")
        async with room.following():
            await asyncio.sleep(60)
            assert not room.cache.synced.is_set()
            room.store.lists_fail = None
            await asyncio.sleep(LONGEST_DELAY_S)
            assert room.cache.synced.is_set()

    run(main())


def test_a_miss_asks_the_store_once_and_absence_is_an_answer():
    async def main():
        room = Room()
        assert await room.cache.read(A) is None
        await room.store.apply(wired("a", "x"))
        entry = await room.cache.read(A)
        assert entry.topology.name == "a"
        assert await room.cache.read(A) is entry
        assert room.store.gets == 2
        assert room.told == [A]
        await room.store.close()
        with pytest.raises(StoreUnavailable):
            await room.cache.read(B)

    run(main())


def test_an_invalid_edit_keeps_the_last_valid_links():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "x"))
        async with room.following():
            await room.news()
            await room.store.apply(topology("a", link(1, "a-name-that-is-too-long", "x:eth1")))
            assert await room.news() == [A]
            entry = room.cache.entry(A)
            assert "spec.links[0].local_intf" in str(entry.invalid)
            assert entry.topology.links[0].local_intf == "eth1"
            # a claim on it is heard all the same
            await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"node": "n2", "epoch": 1})
            assert await room.news() == [A]
            assert room.cache.topology(A).claim.node == "n2"
            assert room.cache.entry(A).invalid is not None
            await room.store.apply(wired("a", "y"))
            assert await room.news() == [A]
            assert room.cache.entry(A).invalid is None
            assert room.cache.topology(A).links[0].peer_pod == "y"

    run(main())


def test_what_is_made_anew_invalid_has_the_owner_that_it_says_itself():
    """Its predecessor's count of epochs is another."""

    async def main():
        room = Room()
        old = await room.store.apply(wired("a", "x"))
        await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"node": "n2", "epoch": 4})
        await room.cache.reread(A)
        await room.store.delete(Kind.TOPOLOGY, *A)
        new = await room.store.apply(topology("a", link(1, "a-name-that-is-too-long", "x:eth1")))
        await room.cache.reread(A)  # of its deletion nobody has told

        found = room.cache.topology(A)
        assert (found.uid, found.claim.node, found.claim.epoch) == (new.uid, "", 0)
        assert new.uid != old.uid
        assert found.links[0].local_intf == "eth1"

    run(main())


def test_what_never_was_valid_has_no_topology():
    async def main():
        room = Room()
        await room.store.apply(topology("a", link(-1, "eth1", "x:eth1")))
        async with room.following():
            await room.news()
            assert room.cache.topology(A) is None
            assert "spec.links[0].uid" in str(room.cache.entry(A).invalid)
            await room.store.patch_status(Kind.TOPOLOGY, "default", "a", {"node": "n2"})
            assert await room.news() == []

    run(main())


def test_a_list_after_a_restore_is_believed_though_it_is_older():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        backup = Backup(room.store)
        async with room.following():
            await room.news()
            await room.store.apply(wired("a", "b", "c"))
            await room.store.apply(wired("b", "a"))
            assert await room.news() == [A, B]
            await room.claim("n1", 1)
            backup.restore()
            assert set(await room.news()) == {A, B}
            assert room.cache.entry(B) is None
            assert len(room.cache.topology(A).links) == 1
            assert room.cache.topology(A).claim.node == ""
            await room.claim("n1", 1)
            assert await room.store.get(Kind.TOPOLOGY, *A) == room.cache.entry(A).resource

    run(main())


def test_an_edit_after_a_restore_is_seen_though_its_numbers_are_those_of_a_lost_one():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        backup = Backup(room.store)
        async with room.following():
            await room.news()
            await room.store.apply(wired("a", "lost"))
            await room.store.apply(wired("b", "a"))
            await room.news()
            lost = room.cache.entry(A).resource
            backup.restore()
            await room.store.apply(wired("a", "c"))
            assert set(await room.news()) == {A, B}
            found = room.cache.entry(A).resource
            assert (found.resource_version, found.generation) == (lost.resource_version, lost.generation)
            assert room.cache.topology(A).links[0].peer_pod == "c"

    run(main())


def test_an_answer_after_a_restore_is_believed_though_it_is_older():
    """Whoever writes a status reads it after a conflict, before the watch has noticed anything."""

    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        backup = Backup(room.store)
        await room.cache.read(A)
        await room.claim("n1", 1)
        backup.restore()
        with pytest.raises(Conflict):
            await room.claim("n1", 2)
        entry = await room.cache.reread(A)
        assert entry is room.cache.entry(A)
        await room.claim("n1", 2)
        assert (await room.store.get(Kind.TOPOLOGY, *A)).status["epoch"] == 2

    run(main())


def test_what_is_not_there_when_asked_is_not_known_any_more():
    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        await room.cache.read(A)
        await room.store.delete(Kind.TOPOLOGY, *A)
        assert await room.cache.reread(A) is None
        assert room.cache.entry(A) is None
        assert room.told == [A, A]

    run(main())


def test_a_list_does_not_undo_what_was_written_and_read_since_it_was_made():
    async def main():
        room = Room(SlowStore())
        await room.store.apply(wired("a", "b"))
        await room.cache.read(A)
        room.store.answers.clear()
        async with room.following():
            await asyncio.sleep(0)
            await room.claim("n1", 1)
            await room.store.apply(wired("b", "a"))
            room.cache.take(await MemoryStore.get(room.store, Kind.TOPOLOGY, *B))
            room.told.clear()
            room.store.answers.set()
            assert await room.news() == []
            assert room.cache.topology(A).claim.node == "n1"
            assert room.cache.topology(B) is not None

    run(main())


def test_what_was_read_before_a_list_was_made_and_is_not_in_it_is_gone():
    async def main():
        room = Room(SlowStore())
        await room.store.apply(wired("a", "b"))
        room.store.looks.clear()
        async with room.following():
            await asyncio.sleep(0)
            room.cache.take(await MemoryStore.get(room.store, Kind.TOPOLOGY, *A))
            await room.store.delete(Kind.TOPOLOGY, *A)
            room.store.looks.set()
            await room.news()
            assert room.cache.entry(A) is None

    run(main())


def test_an_answer_that_a_write_has_overtaken_does_not_undo_it():
    async def main():
        room = Room(SlowStore())
        await room.store.apply(wired("a", "b"))
        await room.cache.read(A)
        room.store.answers.clear()
        reading = asyncio.create_task(room.cache.reread(A))
        await asyncio.sleep(0)
        await room.claim("n1", 1)
        room.store.answers.set()
        assert (await reading).topology.claim.node == "n1"
        assert room.cache.topology(A).claim.node == "n1"

    run(main())


def test_an_answer_that_a_deletion_has_overtaken_does_not_undo_it():
    async def main():
        room = Room(SlowStore())
        await room.store.apply(wired("a", "b"))
        async with room.following():
            await room.news()
            room.store.answers.clear()
            reading = asyncio.create_task(room.cache.reread(A))
            await asyncio.sleep(0)
            await room.store.delete(Kind.TOPOLOGY, *A)
            await room.news()
            room.store.answers.set()
            assert await reading is None
            assert room.cache.entry(A) is None

    run(main())


@pytest.mark.parametrize("anew", [False, True])
def test_the_answer_to_a_write_that_a_deletion_has_overtaken_does_not_undo_it(anew):
    async def main():
        room = Room()
        await room.store.apply(wired("a", "b"))
        async with room.following():
            await room.news()
            written = await room.store.patch_status(Kind.TOPOLOGY, *A, {"node": "n1", "epoch": 1})
            await room.store.delete(Kind.TOPOLOGY, *A)
            if anew:
                await room.store.apply(wired("a", "c"))
            await room.news()
            room.cache.take(written, ours=True)
            known = room.cache.topology(A)
            assert (known.links[0].peer_pod if known else "") == ("c" if anew else "")

    run(main())
