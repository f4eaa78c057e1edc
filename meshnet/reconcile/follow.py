"""Following one kind of object in the store: list, then watch, from the start again when the watch loses its place."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING, Protocol

from meshnet.errors import StoreError, WatchExpired
from meshnet.stores.base import Change

if TYPE_CHECKING:
    from meshnet.model.resource import Kind, Resource
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0


class Follower(Protocol):
    """What is told of the objects of a kind."""

    def take(self, resource: Resource) -> object:
        """Take in an object as it is now."""

    def drop(self, key: tuple[str, str]) -> None:
        """Take note that an object does not exist any more."""

    def keys(self) -> set[tuple[str, str]]:
        """Return the objects that are known."""

    def listed(self) -> None:
        """Take note that everything there is has been told."""


async def follow(store: Store, kind: Kind, follower: Follower) -> None:
    """Tell a follower of every object of a kind, for ever."""
    loop = asyncio.get_running_loop()
    delay = FIRST_DELAY_S
    while True:
        began = loop.time()
        try:
            await _once(store, kind, follower)
        except WatchExpired as error:
            log.info("listing every %s again: %s", kind.value, error)
            delay = FIRST_DELAY_S
            continue
        except StoreError as error:
            if loop.time() - began > LONGEST_DELAY_S:
                delay = FIRST_DELAY_S
            log.warning("store: %s; trying again in %.1f s", error, delay)
        # Jitter, so that a fleet of daemons does not come back as one.
        await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311
        delay = min(LONGEST_DELAY_S, delay * 2)


async def _once(store: Store, kind: Kind, follower: Follower) -> None:
    listing = await store.list(kind)
    for resource in listing.items:
        follower.take(resource)
    for key in follower.keys() - {resource.key for resource in listing.items}:
        follower.drop(key)
    follower.listed()
    async for event in store.watch(kind, listing.revision):
        if event.resource is None:
            continue
        if event.change is Change.DELETED:
            follower.drop(event.resource.key)
        else:
            follower.take(event.resource)
