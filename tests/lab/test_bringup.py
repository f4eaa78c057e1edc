"""The steps of a lab's way up that need no box."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from meshnet.errors import DaemonUnreachable
from meshnet.lab import bringup
from meshnet.lab.bringup import BringUp
from meshnet.lab.node import START_TIMEOUT_S
from meshnet.lab.plan import LabPlan
from meshnet.stores.memory import MemoryStore


class Deaf:
    """A node whose daemon never listens."""

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        raise DaemonUnreachable(f"not after {timeout_s:g} s")


@pytest.mark.parametrize(("wait_s", "given_s"), [(120.0, 120), (0.5, START_TIMEOUT_S)])
def test_daemons_may_take_as_long_to_start_as_links_to_come_up(monkeypatch, wait_s, given_s):
    """Of a short time for links nobody says that machines are faster."""
    monkeypatch.setattr(bringup, "open_store", lambda _url: MemoryStore())
    plan = LabPlan("lab", ("n1",), {}, {}, (), Path("/plugin"), wait_s=wait_s)
    with ThreadPoolExecutor(1) as executor:
        up = BringUp(plan, [Deaf()], SimpleNamespace(make_sandboxes=_nothing), executor, print)

        with pytest.raises(DaemonUnreachable, match=f"not after {given_s:g} s"):
            asyncio.run(up.run())


async def _nothing() -> None:
    pass
