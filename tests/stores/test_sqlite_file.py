from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.stores import sqlite_file
from meshnet.stores.sqlite import SqliteStore
from meshnet.stores.sqlite_schema import connect
from meshnet.testing.stores.handles import topology
from tests.nobody import as_nobody, closed

if TYPE_CHECKING:
    from pathlib import Path


def ask(path: Path, *, create: bool = True) -> None:
    async def run() -> None:
        store = SqliteStore(path, create=create)
        try:
            await store.get(Kind.TOPOLOGY, "default", "r1")
        finally:
            await store.close()

    asyncio.run(run())


def make(path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(path)
        await store.apply(topology())
        await store.close()

    asyncio.run(run())


def test_only_the_owner_may_open_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = tmp_path / "store.db"

        async def run() -> set[int]:
            store = SqliteStore(path)
            await store.apply(topology())
            modes = {entry.stat().st_mode & 0o777 for entry in tmp_path.glob("store.db*")}
            await store.close()
            return modes

        assert asyncio.run(run()) == {0o600}
    finally:
        os.umask(old)


def test_who_comes_while_another_makes_it_finds_a_store(tmp_path: Path) -> None:
    together, files = threading.Barrier(4), [tmp_path / f"{number}.db" for number in range(60)]

    def open_each(_: int) -> None:
        for path in files:
            together.wait(20)
            connection = None
            while connection is None:
                with contextlib.suppress(sqlite3.OperationalError):  # busy
                    connection = connect(path, create=True, synchronous="off")
            connection.close()

    with ThreadPoolExecutor(together.parties) as threads:
        list(threads.map(open_each, range(together.parties)))


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("hello, this is a text of some length\n" * 200)
    with pytest.raises(StoreUnavailable, match="is not a SQLite database"):
        ask(path)
    assert path.read_text().startswith("hello")


def test_a_database_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(StoreUnavailable, match="another program"):
        ask(path)
    assert path.read_bytes() == before


def test_a_store_of_a_newer_meshnet(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(StoreUnavailable, match="has format 2; this meshnet knows format 1"):
        ask(path)


def test_a_damaged_store(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    with pytest.raises(StoreUnavailable, match="is damaged"):
        ask(path)


def test_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file or directory"):
        ask(tmp_path / "none" / "store.db")
    with pytest.raises(StoreUnavailable, match="not a file"):
        ask(tmp_path)


def test_where_too_many_files_are_open(tmp_path: Path) -> None:
    path, limits = tmp_path / "store.db", resource.getrlimit(resource.RLIMIT_NOFILE)
    make(path)

    async def run() -> None:
        taken = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, limits[1]))
        try:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open("/", os.O_PATH))
            os.close(taken.pop())  # one for the file, and none for what stands beside it
            await SqliteStore(path).list(Kind.TOPOLOGY)
        finally:
            for descriptor in taken:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    with pytest.raises(StoreUnavailable, match="too many files are open"):
        asyncio.run(run())


def test_a_file_of_another_user(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make(path)
    path.chmod(0o000)
    tmp_path.chmod(0o755)
    with as_nobody(), pytest.raises(StoreUnavailable, match=r"permission denied|Permission denied"):
        ask(path)


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("name", ["store.db", "within/store.db"])
def test_a_file_that_cannot_be_looked_at_is_not_said_to_be_absent(name: str, create: bool, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    with closed(tmp_path), pytest.raises(StoreUnavailable, match=f"{name}: .*Permission denied"):
        ask(path, create=create)


def test_a_file_that_shall_not_be_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        ask(tmp_path / "store.db", create=False)
    with pytest.raises(StoreUnavailable, match=f"there is no directory {tmp_path}/none"):
        ask(tmp_path / "none" / "store.db", create=False)


def test_a_file_that_goes_away(tmp_path: Path) -> None:
    async def run() -> None:
        store = SqliteStore(tmp_path / "store.db")
        await store.apply(topology())
        for leftover in tmp_path.glob("store.db*"):
            leftover.unlink()
        for attempt in (store.apply(topology("r2")), store.get(Kind.TOPOLOGY, "", "r1")):
            with pytest.raises(StoreUnavailable, match="removed or replaced"):
                await attempt
        other = SqliteStore(tmp_path / "store.db")
        await other.apply(topology())
        with pytest.raises(StoreUnavailable, match="removed or replaced"):
            await store.apply(topology("r2"))
        await store.close()
        await other.close()

    asyncio.run(run())


def test_it_is_made_and_found_under_its_real_name(tmp_path: Path) -> None:
    """Two processes that name it in two ways meet in one directory."""
    (tmp_path / "link.db").symlink_to(tmp_path / "store.db")

    async def run() -> None:
        linked, real = SqliteStore(tmp_path / "link.db"), SqliteStore(tmp_path / "store.db")
        made = await linked.apply(topology())
        async with contextlib.aclosing(linked.watch(Kind.TOPOLOGY, "0")) as watch:
            assert (await anext(watch)).resource == made == await real.get(Kind.TOPOLOGY, "", "r1")
            assert sorted(entry.name for entry in tmp_path.iterdir()) == [
                "link.db",
                *(f"store.db{suffix}" for suffix in ("", "-shm", "-wal", ".watchers")),
            ]
        await linked.close()
        await real.close()

    asyncio.run(run())


def test_odd_names(tmp_path: Path) -> None:
    path = tmp_path / "a b?c#d%20ü\udcff" / "store.db"
    path.parent.mkdir()
    make(path)
    assert path.stat().st_size > 0


def test_a_busy_file_is_waited_for_without_stopping_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    make(path)

    async def run() -> int:
        turns = 0
        store = SqliteStore(path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writing = asyncio.create_task(store.apply(topology("r2")))
            while turns < 20:
                await asyncio.sleep(0.001)
                turns += 1
            # Reading goes on beside a writer, and sees nothing of what is not committed.
            assert len((await store.list(Kind.TOPOLOGY)).items) == 1
            assert not writing.done()
            other.execute("COMMIT")
        assert (await writing).name == "r2"
        await store.close()
        return turns

    assert asyncio.run(run()) == 20


def test_a_file_that_stays_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    make(path)
    monkeypatch.setattr(sqlite_file, "BUSY_LIMIT_S", 0.2)

    async def run() -> None:
        store = SqliteStore(path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable, match="kept it locked"):
                await store.apply(topology("r2"))
            writing = asyncio.create_task(store.apply(topology("r3")))
            await asyncio.sleep(0.01)
            writing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await writing
        assert (await store.apply(topology("r4"))).name == "r4"
        assert [item.name for item in (await store.list(Kind.TOPOLOGY)).items] == ["r1", "r4"]
        await store.close()

    asyncio.run(run())


def test_many_open_a_new_file_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        stores = [SqliteStore(tmp_path / "store.db") for _ in range(20)]
        await asyncio.gather(*(store.apply(topology(f"r{index}")) for index, store in enumerate(stores)))
        assert len((await stores[0].list(Kind.TOPOLOGY)).items) == 20
        for store in stores:
            await store.close()

    asyncio.run(run())


@pytest.mark.kernel
def test_a_full_file_system(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import asyncio, sys
        from meshnet.errors import StoreUnavailable
        from meshnet.model.resource import Kind
        from meshnet.stores.sqlite import SqliteStore
        from meshnet.testing.stores.handles import topology

        async def run():
            store = SqliteStore(sys.argv[1] + "/store.db")
            written = 0
            try:
                while written < 1000:
                    await store.apply(topology(f"r{written}", spec={"x": "y" * 20_000}))
                    written += 1
            except StoreUnavailable as error:
                print(error)
            listed = await store.list(Kind.TOPOLOGY)
            assert 0 < len(listed.items) == written < 1000, (len(listed.items), written)
            await store.close()

        asyncio.run(run())
    """)
    mount = 'mount -t tmpfs -o size=2m none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", *(["-m"] if os.geteuid() == 0 else ["-Urm"]), "sh", "-c", mount, "sh"]
    assert shutil.which("unshare")
    done = subprocess.run(
        [*command, str(tmp_path), sys.executable, program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no space left on its file system" in done.stdout
    assert list(tmp_path.iterdir()) == []
