"""The watchdog: an event loop that is held up is told, and by whom.

Drivers run in the daemon's loop. One that blocks (a `time.sleep`, a synchronous request) stops everything, and no time
limit can end it; so at least the log says where it hangs. A daemon that was stopped as a whole, as with its machine,
was not held up by anybody.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback

log = logging.getLogger(__name__)

BEAT_S = 1.0
LIMIT_S = 3.0
FRAMES = 4
"""How many of the innermost calls are told."""


class Watchdog:
    """Watches the running event loop from a thread of its own.

    Args:
        limit_s: how long the loop may be held up before it is told, seconds; each time once.
    """

    def __init__(self, *, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._last = time.monotonic()
        self._stopped = threading.Event()
        self._watched = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    async def run(self) -> None:
        """Beat for ever; cancelling it ends the watch."""
        self._thread.start()
        try:
            while True:
                self._last = time.monotonic()
                await asyncio.sleep(min(BEAT_S, self._limit_s / 3))
        finally:
            self._stopped.set()

    def _watch(self) -> None:
        told = 0.0
        looked = time.monotonic()
        while not self._stopped.wait(min(BEAT_S, self._limit_s / 3)):
            before, looked, last = looked, time.monotonic(), self._last
            if looked - before > self._limit_s:
                told = last  # nothing ran, this thread neither: that says nothing of where the loop was
                log.warning(
                    "the daemon did not run for %.1f s: it was stopped, or a call that holds the interpreter was made, "
                    "and then in %s",
                    looked - before,
                    self._where(),
                )
            elif looked - last > self._limit_s and last != told:
                told = last
                log.error("the daemon is held up for more than %g s in %s", self._limit_s, self._where())

    def _where(self) -> str:
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - the one way to see another thread
        calls = traceback.extract_stack(frame)[-FRAMES:]
        return " > ".join(f"{call.filename}:{call.lineno} {call.name}" for call in calls)
