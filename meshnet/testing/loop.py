"""An event loop that runs beside a test, as a daemon's runs beside its pods: what a driver does by itself goes on."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

STUCK_S = 5.0
"""How long after its own time limit a call may hold up the loop before it counts as blocking."""


class LoopThread:
    """A loop in a thread of its own, which lives in the network namespace of the thread that made it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="driver-loop", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any], *, limit_s: float) -> Any:
        """Run a coroutine that ends within `limit_s` seconds by itself; return its result or raise its error."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result(limit_s + STUCK_S)
        except concurrent.futures.TimeoutError:
            if future.done():
                raise
            raise AssertionError(f"the driver has blocked the event loop for {limit_s + STUCK_S:g} s") from None

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Have a coroutine run in the loop for as long as it takes; cancelling what is returned cancels it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def tasks(self) -> int:
        """Return how many tasks are in the loop."""
        return len(asyncio.all_tasks(self._loop))

    def close(self) -> None:
        """End what still runs in the loop, and the loop."""
        try:
            self.run(_end_tasks(), limit_s=STUCK_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STUCK_S)
            if not self._thread.is_alive():
                self._loop.close()


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=STUCK_S)
    await asyncio.get_running_loop().shutdown_default_executor()
