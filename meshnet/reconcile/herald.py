"""Telling users what went wrong, by events: one after the other, and nobody waits for them, least of all a pod."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from meshnet.errors import StoreError
from meshnet.stores.base import Event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

WAITING = 100
"""Events that wait for the store; when it is away for long the oldest are dropped, and stand in the log alone."""


class Herald:
    """Records events in the name of this node's daemon."""

    def __init__(self, store: Store, node: str) -> None:
        self._store = store
        self._source = f"meshnetd {node}"
        self._waiting: deque[Event] = deque(maxlen=WAITING)
        self._task: asyncio.Task[None] | None = None

    def tell(self, about: str, news: Sequence[tuple[str, str]]) -> None:
        """Have an event recorded for each (reason, message) about an object."""
        for reason, message in news:
            log.warning("%s: %s: %s", about, reason, message)
            self._waiting.append(Event(about, "Warning", reason, message, self._source))
        if self._waiting and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._record(), name="events")

    async def told(self, limit_s: float) -> None:
        """Wait until all is recorded, so many seconds at most."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=limit_s)

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _record(self) -> None:
        try:
            while self._waiting:
                event = self._waiting.popleft()
                try:
                    await self._store.record(event)
                except StoreError:
                    continue  # it stands in the log
                except Exception:
                    log.exception("%s: %s: no store takes this event", event.about, event.reason)
        finally:
            self._task = None
