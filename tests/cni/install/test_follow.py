"""A node that is followed stays installed, whatever others do to its directories."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import shutil

import pytest

from meshnet.cni.install.follow import Follower
from meshnet.cni.install.names import LIST
from meshnet.cni.install.node import install
from meshnet.errors import KernelError
from tests.cni.install.conftest import flannel, types, write

NEVER_S = 3600.0
LIMIT_S = 20.0


@contextlib.asynccontextmanager
async def following(places):
    follower = Follower(places, NEVER_S)
    task = asyncio.create_task(follower.run())
    try:
        yield follower
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true, what):
    """Wait for `what`, which is named when it does not come."""
    try:
        async with asyncio.timeout(LIMIT_S):
            while not true():  # noqa: ASYNC110 — what is waited for happens in files
                await asyncio.sleep(0.01)
    except TimeoutError:
        pytest.fail(f"not within {LIMIT_S:g} s: {what}")


def chained(places, *before):
    with contextlib.suppress(FileNotFoundError):
        return types(places.list) == [*before, "meshnet"]
    return False


def test_it_installs_and_follows_the_primary(places):
    async def check():
        async with following(places) as follower:
            await until(lambda: chained(places, "flannel", "portmap"), "installed")
            write(places.conf_dir / "10-flannel.conflist", flannel(plugins=[{"type": "flannel", "mtu": 1400}]))
            await until(lambda: chained(places, "flannel"), "merged again")
            write(places.conf_dir / "05-calico.conflist", flannel(name="calico", plugins=[{"type": "calico"}]))
            await until(lambda: chained(places, "calico"), "the first one is followed")
            assert json.loads(places.list.read_text())["name"] == "calico"
            await until(lambda: follower.told()["source"] == "05-calico.conflist", "told")
            assert follower.told()["problem"] == ""

    asyncio.run(check())


def test_a_primary_that_appears_late(places):
    (places.conf_dir / "10-flannel.conflist").unlink()

    async def check():
        async with following(places) as follower:
            await until(lambda: "install a primary network" in follower.told()["problem"], "said")
            assert places.plugin.exists()
            write(places.conf_dir / "10-flannel.conflist", flannel())
            await until(lambda: chained(places, "flannel", "portmap"), "installed")
            await until(lambda: follower.told()["problem"] == "", "well")

    asyncio.run(check())


def test_what_somebody_removes_is_put_back(places):
    async def check():
        async with following(places):
            await until(lambda: chained(places, "flannel", "portmap"), "installed")
            places.list.unlink()
            await until(lambda: chained(places, "flannel", "portmap"), "list is back")
            places.plugin.unlink()
            await until(places.plugin.exists, "plugin is back")

    asyncio.run(check())


def test_a_list_that_is_being_written_changes_nothing_until_it_is_whole(places):
    async def check():
        async with following(places) as follower:
            await until(lambda: chained(places, "flannel", "portmap"), "installed")
            text = json.dumps(flannel(plugins=[{"type": "flannel"}]))
            write(places.conf_dir / "10-flannel.conflist", text[:20])
            await until(lambda: "10-flannel.conflist" in follower.told()["problem"], "said")
            assert chained(places, "flannel", "portmap")
            write(places.conf_dir / "10-flannel.conflist", text)
            await until(lambda: chained(places, "flannel"), "merged")

    asyncio.run(check())


def test_a_primary_that_goes_leaves_the_list_for_those_that_run(places):
    async def check():
        async with following(places) as follower:
            await until(lambda: chained(places, "flannel", "portmap"), "installed")
            (places.conf_dir / "10-flannel.conflist").unlink()
            await until(lambda: f"{LIST} stays" in follower.told()["problem"], "said")
            assert chained(places, "flannel", "portmap")

    asyncio.run(check())


def test_a_directory_that_is_not_there_yet_is_tried_again(places, caplog):
    shutil.rmtree(places.conf_dir)

    async def check():
        async with following(places) as follower:
            await until(lambda: "is not there" in follower.told()["problem"], "said")
            assert caplog.messages[-1].endswith(follower.told()["problem"])
            places.conf_dir.mkdir()
            write(places.conf_dir / "10-flannel.conflist", flannel())
            await until(lambda: chained(places, "flannel", "portmap"), "installed")

    with caplog.at_level(logging.INFO):
        asyncio.run(check())


def test_a_disk_that_is_full_is_not_written_to_without_a_pause(places, monkeypatch):
    """What is left half-written there, and goes, is a change of the directory as any other."""
    tries = []

    def counted(places):
        tries.append(places)
        return install(places)

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("meshnet.cni.install.follow.install", counted)
    monkeypatch.setattr("meshnet.cni.install.place.os.fsync", full)

    async def check():
        async with following(places) as follower:
            await until(lambda: "No space left" in follower.told()["problem"], "said")
            await asyncio.sleep(0.5)
            assert len(tries) == 1
            monkeypatch.undo()
            await until(lambda: chained(places, "flannel", "portmap"), "installed")

    asyncio.run(check())


def test_that_changes_are_not_heard_is_warned_of_once(places, monkeypatch, caplog):
    def refuse(_watch):
        raise KernelError(errno.EMFILE, "inotify")

    monkeypatch.setattr("meshnet.cni.install.inotify.DirectoryWatch.__init__", refuse)
    monkeypatch.setattr("meshnet.cni.install.follow.FIRST_RETRY_S", 0.05)

    async def check():
        async with following(places) as follower:
            await until(lambda: "changes are seen late: inotify" in follower.told()["problem"], "said")
            write(places.conf_dir / "10-flannel.conflist", flannel(plugins=[{"type": "flannel"}]))
            await until(lambda: chained(places, "flannel"), "merged at the next look")
            await asyncio.sleep(0.5)

    asyncio.run(check())
    assert sum("changes are seen late" in message for message in caplog.messages) == 1


def test_who_takes_it_away_each_time_is_named_and_not_raced(places, caplog):
    async def check():
        async with following(places) as follower:

            def taken():
                if places.list.exists():
                    places.list.replace(places.conf_dir / f"{LIST}.cilium_bak")
                return "cni.exclusive=false" in follower.told()["problem"]

            await until(taken, "said")
            written = sum("written: meshnet after" in message for message in caplog.messages)
            assert written <= 5

    with caplog.at_level(logging.INFO):
        asyncio.run(check())


def test_who_puts_another_plugin_there_each_time_is_told_of_and_not_raced(places, caplog):
    """As another release of meshnet does that installs on this node, too."""

    async def check():
        async with following(places) as follower:

            def replaced():
                if places.plugin.exists() and places.plugin.read_bytes() != b"another":
                    write(places.plugin, "another")
                return f"{places.plugin} was written 4 times" in follower.told()["problem"]

            await until(replaced, "said")
            assert sum(f"{places.plugin} written" in message for message in caplog.messages) == 4
            assert "Cilium" not in follower.told()["problem"]

    with caplog.at_level(logging.INFO):
        asyncio.run(check())


def test_nothing_is_done_at_rest(places, monkeypatch):
    passes = []

    async def check():
        async with following(places) as follower:
            await until(lambda: follower.told()["problem"] == "", "installed")
            await asyncio.sleep(0.3)  # its own writes are heard as well
            loop = asyncio.get_running_loop()
            real = loop.run_in_executor
            monkeypatch.setattr(loop, "run_in_executor", lambda *args: passes.append(args) or real(*args))
            await asyncio.sleep(1.0)

    asyncio.run(check())

    assert passes == []


@pytest.mark.parametrize("directory", ["bin_dir", "conf_dir"])
def test_a_directory_made_anew_is_followed_too(places, directory):
    path = getattr(places, directory)

    async def check():
        async with following(places):
            await until(lambda: chained(places, "flannel", "portmap"), "installed")
            shutil.rmtree(path)
            path.mkdir()
            if directory == "conf_dir":
                write(places.conf_dir / "10-flannel.conflist", flannel())
            await until(lambda: places.plugin.exists() and chained(places, "flannel", "portmap"), "installed again")

    asyncio.run(check())
