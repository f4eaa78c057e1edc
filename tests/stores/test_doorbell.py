from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.stores.doorbell import Doorbell
from meshnet.stores.sqlite import SqliteStore
from meshnet.testing.stores.handles import LIMIT_S, next_change, topology

if TYPE_CHECKING:
    from pathlib import Path


def test_a_doorbell_holds_nothing_when_nobody_waits(tmp_path: Path) -> None:
    async def run() -> None:
        bell = Doorbell(tmp_path / "watchers", lambda: 1)
        open_before = len(os.listdir("/proc/self/fd"))
        with bell.subscribed():
            with bell.subscribed():
                assert len(os.listdir(tmp_path / "watchers")) == 1
            assert len(os.listdir(tmp_path / "watchers")) == 1
        assert os.listdir(tmp_path / "watchers") == []
        assert len(os.listdir("/proc/self/fd")) == open_before
        assert (tmp_path / "watchers").stat().st_mode & 0o777 == 0o700
        with bell.subscribed() as woken:  # and can be used again
            other = Doorbell(tmp_path / "watchers", lambda: 1)
            other.tell()
            await asyncio.wait_for(woken.wait(), LIMIT_S)
            other.close()
        bell.close()

    asyncio.run(run())


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    async def run() -> None:
        (tmp_path / "watchers").write_text("")
        bell = Doorbell(tmp_path / "watchers", lambda: 1)
        with pytest.raises(StoreUnavailable, match="cannot listen"), bell.subscribed():
            pass
        bell.close()

    asyncio.run(run())


def test_a_change_that_nobody_told_of_is_found(tmp_path: Path) -> None:
    async def run() -> None:
        reader, writer = SqliteStore(tmp_path / "store.db"), SqliteStore(tmp_path / "store.db")
        async with contextlib.aclosing(reader.watch(Kind.TOPOLOGY, "0")) as watch:
            waiting = asyncio.create_task(next_change(watch))
            await asyncio.sleep(0.05)
            for bell in (tmp_path / "store.db.watchers").iterdir():
                bell.unlink()
            made = await writer.apply(topology())
            assert (await waiting).resource == made
        await reader.close()
        await writer.close()

    asyncio.run(run())
