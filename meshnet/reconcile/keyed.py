"""One worker a key: what is done for one key is serial, for all keys parallel, and repetitions coalesce."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING, Generic, TypeVar

from meshnet.backoff import doubling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator
    from contextlib import AbstractAsyncContextManager

K = TypeVar("K", bound="Hashable")

FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 30.0

log = logging.getLogger(__name__)


class KeyedLocks(Generic[K]):
    """A lock a key, kept only while somebody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: dict[K, asyncio.Lock] = {}
        self._users: Counter[K] = Counter()

    @contextlib.asynccontextmanager
    async def hold(self, key: K) -> AsyncIterator[None]:
        """Hold the lock of a key for the length of an ``async with``, after waiting for it."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._users[key] += 1
        try:
            async with lock:
                yield
        finally:
            # A lock that was just given up is not locked yet by who waits: only the count tells.
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]


class KeyedWorkers(Generic[K]):
    """Runs `work(key)` when a key is kicked; again if it was kicked meanwhile; later if it asks for that.

    `work` returns whether it is content; if not, or when it raises, it is tried again after a delay that doubles.
    """

    def __init__(self, work: Callable[[K], Awaitable[bool]]) -> None:
        self._work = work
        self._running: dict[K, asyncio.Task[None]] = {}
        self._again: set[K] = set()
        self._held = KeyedLocks[K]()
        self._delays: dict[K, Iterator[float]] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._closed = False

    def kick(self, key: K) -> None:
        """See to it that `work(key)` runs after this call."""
        if self._closed:
            return
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if key in self._running:
            self._again.add(key)
            return
        self._running[key] = asyncio.get_running_loop().create_task(self._run(key), name=f"settle {key}")

    def kick_all(self, keys: Iterable[K]) -> None:
        for key in keys:
            self.kick(key)

    def hold(self, key: K) -> AbstractAsyncContextManager[None]:
        """Keep the worker of a key out for the length of an ``async with``, after letting it finish."""
        return self._held.hold(key)

    def forget(self, key: K) -> None:
        """Drop a key's delays; a run under way goes on."""
        self._delays.pop(key, None)
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    async def close(self) -> None:
        """Cancel every worker and wait for its end."""
        self._closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, key: K) -> None:
        try:
            while True:
                self._again.discard(key)
                content = False
                try:
                    async with self.hold(key):
                        content = await self._work(key)
                except Exception:
                    log.exception("settling %s failed", key)
                if key not in self._again:
                    break
        finally:
            del self._running[key]
        if content:
            self._delays.pop(key, None)
        elif not self._closed:
            self._later(key)

    def _later(self, key: K) -> None:
        delay = next(self._delays.setdefault(key, doubling(FIRST_RETRY_S, LONGEST_RETRY_S)))
        self._timers[key] = asyncio.get_running_loop().call_later(delay, self.kick, key)
