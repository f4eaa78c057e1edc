"""The node's own record: with its certificates at once, and there again when somebody deletes or edits it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import itertools
from types import SimpleNamespace
from typing import Any, cast

import pytest

from meshnet.daemon.between import Between
from meshnet.daemon.record import LONGEST_DELAY_S, LONGEST_REPAIR_S, REPAIR_S, OwnRecord
from meshnet.daemon.settings import Settings
from meshnet.dispatch.place import Place
from meshnet.driver.catalog import NodeCatalog
from meshnet.driver.registry import Registry
from meshnet.errors import StoreUnavailable
from meshnet.model.resource import API_VERSION, Kind
from meshnet.peers import identity
from meshnet.peers.identity import PUBLISHED_S, Identity
from meshnet.reconcile.nodes import NodeCache
from meshnet.stores.memory import MemoryStore
from tests.virtual_time import run


def other() -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": Kind.NODE.value, "metadata": {"name": "n2"}, "spec": {}}


class NotingStore(MemoryStore):
    """Notes the certificates of every record of n1 that is written."""

    def __init__(self) -> None:
        super().__init__()
        self.certificates: list[list[str]] = []

    async def apply(self, document: Any, **options: Any) -> Any:
        if document["metadata"]["name"] == "n1":
            self.certificates.append(document["spec"]["certificates"])
        return await super().apply(document, **options)


class Room:
    """What of the daemon of node n1 has to do with its record."""

    def __init__(self, path: Any, store: NotingStore) -> None:
        settings = Settings.read({"NODE_NAME": "n1", "MESHNET_STATE_DIR": str(path)})
        self.store = store
        registry = Registry.of()
        place = Place("n1", NodeCatalog(registry))
        self.nodes = NodeCache(store, self.changed)
        core = cast("Any", SimpleNamespace(nodes=self.nodes, place=place))
        self.between = Between(settings, core, self.certified)
        self.record = OwnRecord(
            settings, store, registry, place, certificates=self.between.certificates, known=self.nodes.synced
        )

    def certified(self) -> None:
        self.record.out_of_date()

    def changed(self, node: str) -> None:
        self.between.node_changed(node)
        if node == "n1":
            self.record.seen(self.nodes.record(node))

    @contextlib.asynccontextmanager
    async def at_work(self) -> Any:
        works = (self.nodes.run(), self.record.run(), self.between.run())
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await asyncio.sleep(1)
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def test_who_restarts_among_others_never_says_that_it_has_no_certificate(tmp_path):
    """Every other node would let go of what it knows it by, and take it up again a moment later."""

    async def main():
        store = NotingStore()
        await store.apply(other())
        for _ in range(2):
            async with Room(tmp_path, store).at_work():
                pass
        assert len(store.certificates) >= 2
        assert all(len(certificates) == 1 for certificates in store.certificates)
        assert store.certificates[0] == store.certificates[-1]

    run(main())


def test_a_key_that_is_put_right_is_used_without_a_restart(tmp_path, caplog):
    async def main():
        store = NotingStore()
        await store.apply(other())
        file = tmp_path / "identity" / "current.pem"
        async with Room(tmp_path, store).at_work():
            good = file.read_bytes()
        file.write_bytes(good[:-100])
        async with Room(tmp_path, store).at_work():
            assert store.certificates[-1] == []
            file.write_bytes(good)
            await asyncio.sleep(10)
        assert store.certificates[-1] == store.certificates[0] != []
        assert [line.getMessage().partition("; ")[0] for line in caplog.records if line.levelname == "ERROR"] == [
            f"this node's key: {file}: it is not a head, a key and a certificate"
        ]

    run(main())


def test_who_is_alone_has_none_until_another_comes(tmp_path):
    async def main():
        store = NotingStore()
        async with Room(tmp_path, store).at_work():
            assert store.certificates == [[]]
            await store.apply(other())
            await asyncio.sleep(1)
            assert [len(certificates) for certificates in store.certificates] == [0, 1]

    run(main())


@pytest.mark.parametrize("how", ["deleted", "edited"])
def test_a_record_that_somebody_changed_is_written_again(tmp_path, how):
    async def main():
        store = NotingStore()
        await store.apply(other())
        async with Room(tmp_path, store).at_work():
            before = (await store.get(Kind.NODE, "", "n1")).spec
            if how == "deleted":
                await store.delete(Kind.NODE, "", "n1")
            else:
                await store.patch(Kind.NODE, "", "n1", {"spec": {"certificates": []}})
            await asyncio.sleep(REPAIR_S + 1)
            assert (await store.get(Kind.NODE, "", "n1")).spec == before

    run(main())


class SlowToAnswer(NotingStore):
    """Its watches tell of a write before it is answered, as a cluster's may."""

    async def apply(self, document: Any, **options: Any) -> Any:
        written = await super().apply(document, **options)
        await asyncio.sleep(0.1)
        return written


def test_what_it_has_written_itself_is_not_written_again(tmp_path):
    async def main():
        store = SlowToAnswer()
        async with Room(tmp_path, store).at_work():
            await store.apply(other())
            await asyncio.sleep(REPAIR_S + 1)
            assert [len(certificates) for certificates in store.certificates] == [0, 1]

    run(main())


class QuicklyDeleting(SlowToAnswer):
    """Somebody deletes the first record of n1 before its write is answered."""

    async def apply(self, document: Any, **options: Any) -> Any:
        if len(self.certificates) == 0:
            loop = asyncio.get_running_loop()
            loop.call_later(0.05, lambda: loop.create_task(self.delete(Kind.NODE, "", "n1")))
        return await super().apply(document, **options)


def test_a_record_that_is_gone_before_its_write_was_answered_is_written_again(tmp_path):
    async def main():
        store = QuicklyDeleting()
        async with Room(tmp_path, store).at_work():
            await asyncio.sleep(REPAIR_S + 1)
            assert (await store.get(Kind.NODE, "", "n1")).spec
            assert len(store.certificates) == 2

    run(main())


def test_two_daemons_of_one_name_do_not_write_without_a_pause(tmp_path):
    async def main():
        store = NotingStore()
        await store.apply(other())
        async with Room(tmp_path / "one", store).at_work(), Room(tmp_path / "two", store).at_work():
            count = len(store.certificates)
            await asyncio.sleep(10 * REPAIR_S)
            assert len(store.certificates) - count <= 2 * 11

    run(main())


def test_a_disk_that_is_full_for_a_while_keeps_no_node_from_the_others(tmp_path, monkeypatch):
    async def main():
        store = NotingStore()
        await store.apply(other())
        with monkeypatch.context() as patched:
            patched.setattr("os.open", full)
            async with Room(tmp_path, store).at_work():
                assert store.certificates == [[]]
                patched.undo()
                await asyncio.sleep(10)
                assert len(store.certificates[-1]) == 1

    run(main())


class RefusingStore(NotingStore):
    """Takes no record of n1 with more than one certificate while it `refuses`."""

    refuses = True

    async def apply(self, document: Any, **options: Any) -> Any:
        if self.refuses and len(document["spec"].get("certificates", ())) > 1:
            raise StoreUnavailable("a policy of the cluster says no")
        return await super().apply(document, **options)


def renewing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have identities go by the time of the loop."""
    now = asyncio.get_running_loop().time
    monkeypatch.setattr(identity, "Identity", functools.partial(Identity, now=lambda: 1_700_000_000 + now()))


async def step(room: Room, seconds: float) -> Any:
    """Let time pass, take the step of a renewal that is due, and return the certificate that is in use."""
    assert room.between._identity is not None
    await asyncio.sleep(seconds)
    room.between._identity.advance()
    return room.between._identity.current.certificate


def test_a_certificate_that_the_store_refuses_is_not_used_before_it_was_published_ten_minutes(tmp_path, monkeypatch):
    """No peer knows it: every session and stream of this node would end."""

    async def main():
        renewing(monkeypatch)
        store = RefusingStore()
        await store.apply(other())
        room = Room(tmp_path, store)
        async with room.at_work():
            old = await step(room, 0)
            room.between._identity.rotate()
            for _ in range(3):
                assert await step(room, PUBLISHED_S + 1) == old
            store.refuses = False
            await asyncio.sleep(LONGEST_DELAY_S)
            assert len((await store.get(Kind.NODE, "", "n1")).spec["certificates"]) == 2
            assert await step(room, PUBLISHED_S - LONGEST_DELAY_S - 1) == old
            assert await step(room, LONGEST_DELAY_S + 1) != old

    run(main())


def test_one_that_somebody_removes_from_the_record_is_used_ten_minutes_after_it_is_there_again(tmp_path, monkeypatch):
    async def main():
        renewing(monkeypatch)
        store = RefusingStore()
        store.refuses = False
        await store.apply(other())
        room = Room(tmp_path, store)
        async with room.at_work():
            old = await step(room, 0)
            room.between._identity.rotate()
            assert await step(room, PUBLISHED_S - 10) == old
            store.refuses = True
            await store.patch(Kind.NODE, "", "n1", {"spec": {"certificates": [old]}})
            assert await step(room, PUBLISHED_S) == old
            store.refuses = False
            assert await step(room, PUBLISHED_S - 1) == old
            assert await step(room, LONGEST_DELAY_S + 1) != old

    run(main())


def test_one_that_was_published_is_used_ten_minutes_after_a_restart(tmp_path, monkeypatch):
    async def main():
        renewing(monkeypatch)
        store = NotingStore()
        await store.apply(other())
        room = Room(tmp_path, store)
        async with room.at_work():
            old = await step(room, 0)
            room.between._identity.rotate()
            assert await step(room, PUBLISHED_S - 10) == old
        room = Room(tmp_path, store)
        async with room.at_work():
            assert await step(room, PUBLISHED_S - 10) == old
            assert await step(room, 10) != old

    run(main())


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "full")


class OwningStore(NotingStore):
    """A cluster's, as far as records are concerned."""

    def node_owners(self, node: str) -> Any:
        return [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": "u-1"}]

    async def schema_complaints(self) -> Any:
        return ()

    async def set_pod_condition(self, *_: Any) -> None:
        raise AssertionError


@pytest.mark.parametrize(("store", "owned"), [(NotingStore, False), (OwningStore, True)])
def test_in_a_cluster_a_record_is_its_nodes(tmp_path, store, owned):
    async def main():
        room = Room(tmp_path, store())
        async with room.at_work():
            found = await room.store.get(Kind.NODE, "", "n1")
        owners = found.metadata.get("ownerReferences")
        assert owners == ([{"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "u-1"}] if owned else None)

    run(main())


class CollectingStore(OwningStore):
    """A cluster's whose Node of uid `gone` is no more: what that owns is deleted half a second after it was written."""

    gone = "u-1"
    uid = "u-1"

    def __init__(self) -> None:
        super().__init__()
        self.written: list[float] = []

    def node_owners(self, node: str) -> Any:
        return [{"apiVersion": "v1", "kind": "Node", "name": node, "uid": self.uid}]

    async def apply(self, document: Any, **options: Any) -> Any:
        written = await super().apply(document, **options)
        loop = asyncio.get_running_loop()
        self.written.append(loop.time())
        if document["metadata"]["ownerReferences"][0]["uid"] == self.gone:
            loop.call_later(0.5, lambda: loop.create_task(self.delete(Kind.NODE, "", "n1")))
        return written

    def pauses(self) -> list[float]:
        return [round(after - before - 0.5) for before, after in itertools.pairwise(self.written)]


def test_a_record_that_vanishes_each_time_is_written_ever_more_rarely_and_the_log_says_why(tmp_path, caplog):
    """Its Node was made anew under its name, and the token names the old one."""

    async def main():
        store = CollectingStore()
        async with Room(tmp_path, store).at_work():
            await asyncio.sleep(600)
            assert store.pauses()[:8] == [1, 2, 4, 8, 16, 32, LONGEST_REPAIR_S, LONGEST_REPAIR_S]
            said = [record.message for record in caplog.records if "this pod's token" in record.message]
            assert len(said) == len(store.written) - 1
            assert "token names (uid u-1) is gone: delete this daemon's pod" in said[0]

    run(main())


def test_one_that_vanishes_is_there_a_minute_after_the_pod_got_a_new_token(tmp_path, caplog):
    async def main():
        store = CollectingStore()
        async with Room(tmp_path, store).at_work():
            await asyncio.sleep(600)
            store.uid = "u-2"
            await asyncio.sleep(LONGEST_REPAIR_S + 1)
            assert (await store.get(Kind.NODE, "", "n1")).metadata["ownerReferences"][0]["uid"] == "u-2"
            caplog.clear()
            await store.delete(Kind.NODE, "", "n1")
            await asyncio.sleep(REPAIR_S + 1)
            assert (await store.get(Kind.NODE, "", "n1")).spec
            assert not caplog.records

    run(main())
