"""Following one kind of object in the store: list, then watch, from the start again when the watch loses its place."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from meshnet.backoff import doubling, spread
from meshnet.errors import StoreError, WatchExpired
from meshnet.stores.base import Change

if TYPE_CHECKING:
    from meshnet.model.resource import Kind, ObjectKey, Resource
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0


class Follower(Protocol):
    """What is told of the objects of a kind."""

    async def relist(self) -> str:
        """Ask the store for everything there is and take that in; return the revision to watch from."""

    def take(self, resource: Resource) -> None:
        """Take in an object as it is now."""

    def drop(self, key: ObjectKey) -> None:
        """Take note that an object does not exist any more."""


async def follow(store: Store, kind: Kind, follower: Follower) -> None:
    """Tell a follower of every object of a kind, for ever."""
    loop = asyncio.get_running_loop()
    delays = doubling(FIRST_DELAY_S, LONGEST_DELAY_S)
    while True:
        began = loop.time()
        pause = delay = next(delays)
        try:
            await _watch(store, kind, follower, await follower.relist())
        except StoreError as error:
            stood = loop.time() - began
            if stood > LONGEST_DELAY_S:
                delays = doubling(FIRST_DELAY_S, LONGEST_DELAY_S)
                delay = next(delays)
            pause = spread(delay)
            if isinstance(error, WatchExpired) and stood > delay:  # else that is what it does all the time
                pause = 0.0
            level = logging.INFO if isinstance(error, WatchExpired) else logging.WARNING
            log.log(level, "store: %s; listing every %s again in %.1f s", error, kind.value, pause)
        await asyncio.sleep(pause)


async def _watch(store: Store, kind: Kind, follower: Follower, since: str) -> None:
    async for event in store.watch(kind, since):
        if event.resource is None:
            continue
        if event.change is Change.DELETED:
            follower.drop(event.resource.key)
        else:
            follower.take(event.resource)
