"""The end of a daemon's process: soon, whatever tasks and threads of drivers are left that do not end when asked to."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

ENDS_S = 2.0
"""How long tasks may take to end that are cancelled, and the process after that."""

log = logging.getLogger(__name__)


def run_to_the_end(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a loop of its own, as `asyncio.run` does, and have the process end soon after it.

    `asyncio.run` waits for every task and the interpreter for every thread, for ever. Nobody restarts a daemon that a
    driver keeps from ending.
    """
    asyncio.run(_bounded(main))


async def _bounded(main: Coroutine[Any, Any, None]) -> None:
    error: Exception | None = None
    try:
        await main
    except Exception as raised:
        error = raised
        raise
    finally:
        await _cancel_the_rest()
        ending = threading.Timer(ENDS_S, _end_now, (error,))
        ending.daemon = True
        ending.start()


async def _cancel_the_rest() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, left = await asyncio.wait(left, timeout=ENDS_S)
    for task in left:
        log.warning("%s: it ignores that it was cancelled, and is still running", task.get_name())


def _end_now(error: Exception | None) -> None:
    """End the process: what is left of it would keep it for ever."""
    if error is not None:
        log.error("the daemon failed", exc_info=error)  # who would have told it waits for what is left
    log.warning("the process ends without waiting for what is left")
    logging.shutdown()
    os._exit(0 if error is None else 1)
