"""Waking the watches of one process."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Wakeups:
    """Who waits for a change. A wake-up says only that there may be one: look."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    @contextlib.contextmanager
    def subscribed(self) -> Iterator[asyncio.Event]:
        """An event that `ring` sets, for as long as the context lasts."""
        woken = asyncio.Event()
        self._waiting.add(woken)
        try:
            yield woken
        finally:
            self._waiting.discard(woken)

    def ring(self) -> None:
        """Wake everyone."""
        for woken in self._waiting:
            woken.set()
