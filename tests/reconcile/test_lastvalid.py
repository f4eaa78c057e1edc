"""What is invalid now stays as it last was valid, over restarts, as long as it is the same object."""

from __future__ import annotations

import shutil

import attrs
import pytest

from meshnet.model.resource import Kind, Resource
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.lastvalid import LastValid
from meshnet.stores.memory import MemoryStore
from tests.reconcile.made import link, topology
from tests.virtual_time import run

A = ("default", "a")
VALID = topology("a", link(1, "eth1", "b:eth1"))
INVALID = topology("a", link(1, "a-name-that-is-too-long", "b:eth1"))


@attrs.define
class Daemon:
    """A cache that starts on the same store and directory."""

    store: MemoryStore
    cache: TopologyCache

    @classmethod
    async def start(cls, store, directory):
        daemon = cls(store, TopologyCache(store, lambda _: None, last=LastValid(directory)))
        await daemon.look()
        return daemon

    async def look(self):
        await self.cache.relist()

    @property
    def links(self):
        known = self.cache.topology(A)
        return None if known is None else [each.local_intf for each in known.links]


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "last-valid"


async def edited(directory):
    """Return a store with a Topology that a daemon saw becoming invalid."""
    store = MemoryStore()
    await store.apply(VALID)
    daemon = await Daemon.start(store, directory)
    assert not directory.exists()
    await store.apply(INVALID)
    await daemon.look()
    assert daemon.links == ["eth1"]
    return store


def test_it_is_known_after_a_restart(directory):
    async def main():
        store = await edited(directory)
        await store.patch_status(Kind.TOPOLOGY, *A, {"node": "n1", "epoch": 7})

        daemon = await Daemon.start(store, directory)

        assert daemon.links == ["eth1"]
        assert daemon.cache.entry(A).invalid is not None
        assert daemon.cache.topology(A).claim.epoch == 7
        assert directory.stat().st_mode & 0o777 == 0o700

    run(main())


def test_it_is_forgotten_once_it_is_valid_again(directory):
    async def main():
        store = await edited(directory)
        daemon = await Daemon.start(store, directory)
        await store.apply(topology("a", link(1, "eth2", "b:eth1")))
        await daemon.look()
        assert daemon.links == ["eth2"]
        assert not directory.exists()

    run(main())


@pytest.mark.parametrize("when", ["while the daemon runs", "while it does not"])
def test_it_is_forgotten_once_it_is_gone(directory, when):
    async def main():
        store = await edited(directory)
        if when == "while it does not":
            await store.delete(Kind.TOPOLOGY, *A)
            await Daemon.start(store, directory)
        else:
            daemon = await Daemon.start(store, directory)
            await store.delete(Kind.TOPOLOGY, *A)
            await daemon.look()
        assert not directory.exists()

    run(main())


def test_another_object_of_that_name_has_nothing_of_it(directory):
    async def main():
        store = await edited(directory)
        await store.delete(Kind.TOPOLOGY, *A)
        await store.apply(INVALID)
        assert (await Daemon.start(store, directory)).links is None

    run(main())


def test_it_is_kept_through_more_invalid_edits(directory):
    async def main():
        store = await edited(directory)
        for links in ([{"uid": "x"}], "none"):
            await store.patch(Kind.TOPOLOGY, *A, {"spec": {"links": links}})
            daemon = await Daemon.start(store, directory)
            await daemon.look()
            assert daemon.links == ["eth1"]

    run(main())


def test_what_somebody_removed_is_written_again(directory):
    async def main():
        await edited(directory)
        last = LastValid(directory)
        shutil.rmtree(directory)
        last.catch_up()
        (file,) = directory.iterdir()
        written = file.stat().st_mtime_ns
        last.catch_up()
        assert file.stat().st_mtime_ns == written

    run(main())


SPOILED = ["", "[", "[]", "null", '{"metadata": 3}', '{"metadata": {"name": "a"}}', r'{"metadata": {"name": "\ud800"}}']


@pytest.mark.parametrize("text", SPOILED)
def test_a_file_that_cannot_be_read_costs_no_start(directory, text):
    async def main():
        store = await edited(directory)
        (file,) = directory.iterdir()
        file.write_text(text)
        assert (await Daemon.start(store, directory)).links is None

    run(main())


def test_a_directory_that_cannot_be_written_is_said(directory, caplog):
    directory.parent.joinpath("file").write_text("")
    last = LastValid(directory.parent / "file")
    last.keep(Resource(Kind.TOPOLOGY, VALID))
    assert "Topology default/a, as it last was valid, is not kept" in caplog.text
    last.drop(A)
