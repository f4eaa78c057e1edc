"""The heartbeat and the passes, in virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

from meshnet.reconcile.passes import ALIVE_S, Passes
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, enter, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.end import End
    from meshnet.reconcile.sandbox import Sandbox


class Pulse:
    """The file that tells that the daemon is alive; when it was touched."""

    def __init__(self) -> None:
        self.beats: list[float] = []

    def touch(self) -> None:
        self.beats.append(asyncio.get_running_loop().time())


class Others:
    """Everything that a pass asks; its drivers take `takes_s` to tell what they own."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.takes_s = takes_s
        self.passes: list[float] = []
        self.dead: set[Sandbox] = set()
        self.removed: list[tuple[float, Sandbox]] = []
        self.asked: list[tuple[str, End | Endpoint | Sandbox]] = []

    def look_again(self, end: End) -> None:
        self.asked.append(("look", end))

    def kick(self, endpoint: Endpoint) -> None:
        self.asked.append(("settle", endpoint))

    def changed(self, box: Sandbox) -> None:
        self.asked.append(("compare", box))

    def ended(self, box: Sandbox) -> bool:
        return box in self.dead

    async def remove(self, box: Sandbox, *, why: str) -> None:
        assert why
        self.removed.append((asyncio.get_running_loop().time(), box))

    def look_at_all(self) -> None:
        self.passes.append(asyncio.get_running_loop().time())

    async def sort_out(self) -> None:
        await asyncio.sleep(self.takes_s)

    async def clear_absent(self) -> None:
        """Nothing is absent."""


@contextlib.asynccontextmanager
async def running(pulse: Pulse, others: Others, table: Table | None = None) -> AsyncIterator[Passes]:
    anything = cast("Any", others)
    passes = Passes(
        table=table or Table(),
        sandboxes=anything,
        aligner=anything,
        workers=anything,
        inspector=anything,
        publisher=anything,
        leftovers=anything,
        alive=cast("Any", pulse),
        pass_s=60.0,
    )
    tasks = [asyncio.create_task(passes.beat()), asyncio.create_task(passes.run())]
    yield passes
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_driver_that_hangs_does_not_make_the_node_look_dead() -> None:
    pulse = Pulse()

    async def main() -> None:
        async with running(pulse, Others(takes_s=1000.0)) as passes:
            passes.full_pass_soon()
            await asyncio.sleep(300.0)

    run(main())
    assert len(pulse.beats) == 300.0 / ALIVE_S


def test_a_pass_comes_each_interval_and_when_it_is_wanted() -> None:
    others = Others()

    async def main() -> None:
        async with running(Pulse(), others) as passes:
            await asyncio.sleep(90.0)
            passes.full_pass_soon()
            await asyncio.sleep(70.0)

    run(main())
    assert [moment - 1000.0 for moment in others.passes] == [60.0, 90.0, 150.0]


def test_a_pass_looks_at_each_end_settles_it_and_has_each_status_compared() -> None:
    """One that somebody else has written over is written again."""
    others, table = Others(), Table()
    r1, r2 = sandbox("r1"), sandbox("r2")
    ends = [end(r1, "eth1", "r2:eth1"), end(r2, "eth1", "r1:eth1")]
    enter(table, r1, r2)

    async def main() -> None:
        async with running(Pulse(), others, table):
            await asyncio.sleep(61.0)

    run(main())
    looked = [(word, what) for each in ends for word, what in (("look", each), ("settle", each.endpoint))]
    assert others.asked == [*looked, ("compare", r1), ("compare", r2)]


def test_what_is_being_removed_has_ended_when_they_are_closed() -> None:
    others, box = Others(), sandbox("r1")
    table = Table()
    table.add(box)
    ended: list[bool] = []

    async def remove(box: Sandbox, *, why: str) -> None:
        try:
            await asyncio.sleep(1000.0)
        finally:
            ended.append(True)

    others.remove = remove  # type: ignore[method-assign]

    async def main() -> None:
        async with running(Pulse(), others, table) as passes:
            others.dead.add(box)
            await asyncio.sleep(2 * ALIVE_S)
            await passes.close()
            assert ended

    run(main())


def test_the_heartbeat_finds_a_namespace_that_ended_without_an_event() -> None:
    """Nobody hears events here, and the first pass is a minute away."""
    others, table = Others(), Table()
    r1, r2, arriving = sandbox("r1"), sandbox("r2"), sandbox("r3")
    arriving.handed = cast("Any", "its ADD is under way")
    for box in (r1, r2, arriving):
        table.add(box)

    async def main() -> None:
        async with running(Pulse(), others, table):
            await asyncio.sleep(ALIVE_S + 1.0)
            assert others.removed == []
            others.dead |= {r1, arriving}
            await asyncio.sleep(ALIVE_S)

    run(main())
    assert others.removed == [(1000.0 + 2 * ALIVE_S, r1)]
