"""Handing things from a thread to a task, in order and with bounded room."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Generic, TypeVar

T = TypeVar("T")

ROOM = 1000


class Handover(Generic[T]):
    """What one thread puts in and one task takes out. Made in the loop of that task."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._closed = False

    def put(self, item: T) -> bool:
        """Put something in, waiting for room; False: nobody takes any more. For the thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._room)
            if self._closed:
                return False
            self._items.append(item)
            first = len(self._items) == 1
        if first:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the task is gone
                self._loop.call_soon_threadsafe(self._filled.set)
        return True

    async def take(self) -> list[T]:
        """Return all that is there, at least one, waiting for it."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            with self._changed:
                taken, self._items = self._items, []
                self._changed.notify()
            if taken:
                return taken

    def close(self, last: T | None = None) -> None:
        """Let the thread go; have `last` taken now, whatever else was there. For the task's loop."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            if last is not None:
                self._items = [last]
                self._filled.set()
