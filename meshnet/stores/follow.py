"""A watch: read the log from a place on, wait, read on.

The log is the queue. It is bounded, so a watcher that is too slow finds its place gone and is told so; nothing is kept
for it elsewhere.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import WatchExpired
from meshnet.stores.base import Change, WatchEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from meshnet.stores.wakeups import Wakeups

BATCH = 256
"""Changes read at once."""

_MOST_DIGITS = 18
"""Of a revision, which has 64 bits, in SQLite and in etcd."""

BOOKMARK_EVERY = 1000
"""After so many changes of other kinds a watch is given a bookmark."""


@attrs.frozen
class Batch:
    """A piece of the log.

    Attributes:
        events: the changes of one kind.
        position: up to which revision the log was searched for them.
        more: whether there may be more behind it already.
    """

    events: Sequence[WatchEvent]
    position: int
    more: bool


async def follow(
    read: Callable[[int], Awaitable[Batch]], wakeups: Wakeups, since: str
) -> AsyncGenerator[WatchEvent, None]:
    """Yield what `read(position)` finds after `since`, and again after every wake-up, for ever."""
    position = parse_revision(since)
    told = -BOOKMARK_EVERY  # the first time that the watch has caught up deserves a bookmark
    # Subscribed before the first read: a change after that read leaves its mark.
    with wakeups.subscribed() as woken:
        while True:
            woken.clear()
            batch = await read(position)
            for event in batch.events:
                yield event
                told = int(event.revision) if told >= 0 else told
            position = batch.position
            if batch.more:
                await asyncio.sleep(0)  # a long catch-up lets others run
                continue
            if position - told >= BOOKMARK_EVERY:
                told = position
                yield WatchEvent(Change.BOOKMARK, None, str(position))
            await woken.wait()


def parse_revision(since: str) -> int:
    """The number in a revision. Raises WatchExpired for what is none."""
    if not since.isdecimal() or not since.isascii() or len(since) > _MOST_DIGITS:
        raise WatchExpired(f"revision {since!r} is none of this store: list again")
    return int(since)


def check_place(position: int, floor: int, head: int) -> None:
    """Raise WatchExpired unless the log still knows every change after `position`."""
    if position < floor:
        raise WatchExpired(f"changes after revision {position} are forgotten, up to {floor}: list again")
    if position > head:
        raise WatchExpired(f"revision {position} is none of this store, which is at {head}: list again")
