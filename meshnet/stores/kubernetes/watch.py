"""A watch that goes on: dialled again where its last connection stood, until the server has forgotten that place."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from typing import TYPE_CHECKING

from meshnet.errors import StoreUnavailable, WatchExpired
from meshnet.stores.base import Change
from meshnet.stores.follow import parse_revision
from meshnet.stores.kubernetes.errors import Busy, closed
from meshnet.stores.kubernetes.outage import PATIENCE_S, Outage
from meshnet.stores.kubernetes.request import Place
from meshnet.stores.kubernetes.stream import Begun, Ended, Stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from meshnet.model.resource import Kind
    from meshnet.stores.base import WatchEvent
    from meshnet.stores.kubernetes.calls import Calls
    from meshnet.stores.kubernetes.door import Door
    from meshnet.stores.kubernetes.known import Known

log = logging.getLogger(__name__)

CONNECTION_S = (300, 600)
"""How long the server is asked to keep a connection, at random: a fleet's watches shall not end together."""

LIVED_S = 8.0
"""A connection that ends sooner, and has brought nothing, is one more failure in a row, whoever ended it."""


class Watch:
    """One watch of a kind from a revision on.

    Args:
        door: to the server.
        calls: to ask it for its revision.
        known: what this process has seen of it.
        kind: of object.
        since: the revision.
    """

    def __init__(self, door: Door, calls: Calls, known: Known, kind: Kind, since: str) -> None:
        self._door = door
        self._calls = calls
        self._known = known
        self._kind = kind
        self._what = f"watch of every {kind.value}"
        self._position = since
        self._outage = Outage()
        self._began = False
        self._lived = False
        self._stream: Stream | None = None
        self._closed = asyncio.Event()

    async def events(self) -> AsyncGenerator[WatchEvent, None]:
        """Yield every change, as `Store.watch` does. Raises WatchExpired, StoreUnavailable."""
        self._check()
        lost = int(self._position) > self._known.newest
        while not self._closed.is_set():
            try:
                if lost:  # a server that comes back may have been put back to an older state
                    await self._ask_revision()
                async with contextlib.aclosing(self._connection()) as connection:
                    async for event in connection:
                        yield event
                lost, trouble = False, None if self._lived else StoreUnavailable(f"{self._what}: was ended too early")
            except StoreUnavailable as error:
                lost, trouble = True, error
            if trouble is not None:
                await self._recover(trouble)
        raise closed()

    def close(self) -> None:
        """Have `events` end with StoreUnavailable."""
        self._closed.set()
        if self._stream is not None:
            self._stream.abort(closed())

    async def _connection(self) -> AsyncGenerator[WatchEvent, None]:
        """Yield what one connection brings. Raises WatchExpired, StoreUnavailable."""
        loop = asyncio.get_running_loop()
        begun, self._lived = math.inf, False
        request = Place(self._kind, "").watch(self._position, random.randint(*CONNECTION_S))  # noqa: S311
        stream = self._stream = Stream(self._door, self._kind, request)
        try:
            while True:
                for item in await stream.take():
                    if isinstance(item, Ended):
                        self._end(item.error)
                        return
                    if isinstance(item, Begun):
                        self._began, begun = True, loop.time()
                        continue
                    self._outage.over()
                    self._note(item)
                    yield item
        finally:
            if loop.time() - begun > LIVED_S:
                self._lived = True
                self._outage.over()
            self._stream = None
            stream.stop()

    def _end(self, error: Exception | None) -> None:
        """Raise what a connection ended with, as one of ours."""
        if isinstance(error, (StoreUnavailable, WatchExpired)):
            raise error
        if error is not None:
            raise StoreUnavailable(f"{self._what}: {error}") from error

    async def _recover(self, error: StoreUnavailable) -> None:
        """Wait before the next try. Raises the error when there shall be none."""
        delay = self._outage.next_delay(asyncio.get_running_loop().time())
        if self._closed.is_set():
            raise closed()
        if not self._began or delay is None:
            raise error
        if isinstance(error, Busy):
            delay = max(delay, min(error.retry_after_s, PATIENCE_S) * random.uniform(1.0, 1.25))  # noqa: S311
        log.warning("%s; dialling again in %.1f s", error, delay)
        await self._wait(delay)

    async def _wait(self, delay_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._closed.wait()

    def _note(self, event: WatchEvent) -> None:
        self._position = event.revision
        if event.resource is None:
            self._known.reached(event.revision)
        elif event.change is Change.DELETED:
            self._known.gone(event.resource)
        else:
            self._known.seen(event.resource)

    def _check(self) -> None:
        """Raise WatchExpired for what is no revision of any API server."""
        if parse_revision(self._position) == 0:
            raise WatchExpired(f"revision {self._position!r} is none of the API server: list again")

    async def _ask_revision(self) -> None:
        """Raise WatchExpired when the server has not come as far: it would wait until then, and say nothing."""
        listing = await self._calls.send(Place(self._kind, "").list(limit=1))
        newest = listing["metadata"]["resourceVersion"]
        if int(self._position) > int(newest):
            told = f"revision {self._position} is none of the API server, which is at {newest}: list again"
            raise WatchExpired(told)
        self._known.reached(newest)
