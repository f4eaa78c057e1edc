from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import StoreUnavailable
from meshnet.reconcile.herald import WAITING, Herald
from meshnet.stores.memory import MemoryStore
from tests import virtual_time

if TYPE_CHECKING:
    from meshnet.stores.base import Event

R1 = "Topology default/r1"


class SlowStore(MemoryStore):
    """Takes a while for an event, and at first takes none."""

    def __init__(self, refusals: int = 0, error: Exception | None = None) -> None:
        super().__init__()
        self._refusals = refusals
        self._error = error or StoreUnavailable("away")

    async def record(self, event: Event) -> None:
        await asyncio.sleep(1.0)
        if self._refusals:
            self._refusals -= 1
            raise self._error
        await super().record(event)


def test_nobody_waits_for_events_but_who_asks() -> None:
    async def run() -> None:
        store = SlowStore()
        herald = Herald(store, "n1")
        herald.tell(R1, [("A", "a is wrong"), ("B", "b is wrong")])
        herald.tell(R1, [("C", "c is wrong")])
        assert await store.events() == []
        await herald.told(10.0)
        events = await store.events()
        assert [(event.reason, event.type, event.source) for event in events] == [
            (reason, "Warning", "meshnetd n1") for reason in "ABC"
        ]

    virtual_time.run(run())


@pytest.mark.parametrize("error", [StoreUnavailable("away"), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no")])
def test_one_that_is_refused_keeps_no_other_back(error: Exception) -> None:
    async def run() -> None:
        store = SlowStore(refusals=1, error=error)
        herald = Herald(store, "n1")
        herald.tell(R1, [("A", "a"), ("B", "b")])
        await herald.told(10.0)
        herald.tell(R1, [("C", "c")])
        await herald.told(10.0)
        assert [event.reason for event in await store.events()] == ["B", "C"]

    virtual_time.run(run())


def test_waiting_has_a_bound_and_closing_ends_it() -> None:
    async def run() -> None:
        store = SlowStore()
        herald = Herald(store, "n1")
        herald.tell(R1, [("A", str(number)) for number in range(WAITING * 3)])
        began = asyncio.get_running_loop().time()
        await herald.told(2.5)
        assert asyncio.get_running_loop().time() - began < 3
        herald.close()
        await asyncio.sleep(500)
        assert [event.message for event in await store.events()] == [str(WAITING * 2), str(WAITING * 2 + 1)]

    virtual_time.run(run())


def test_nothing_to_tell_is_nothing_to_do() -> None:
    async def run() -> None:
        herald = Herald(MemoryStore(), "n1")
        herald.tell(R1, [])
        await herald.told(1.0)
        herald.close()

    virtual_time.run(run())
