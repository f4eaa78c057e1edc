"""Running a daemon in the foreground, from its settings to its end by a signal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from typing import TYPE_CHECKING

from meshnet.daemon.ending import run_to_the_end
from meshnet.daemon.limits import go_first, raise_descriptor_limit
from meshnet.daemon.lock import alone
from meshnet.daemon.node import Node
from meshnet.daemon.notify import notify
from meshnet.daemon.rundir import make_usable
from meshnet.daemon.watchdog import Watchdog
from meshnet.driver.registry import Registry
from meshnet.errors import MeshnetError
from meshnet.peers.environment import prepare_grpc
from meshnet.stores.open import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.daemon.settings import Settings

ENDING = (signal.SIGTERM, signal.SIGINT)

log = logging.getLogger(__name__)


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, which leave the data path alone. Raises what the daemon cannot live with."""
    raise_descriptor_limit()
    go_first()
    prepare_grpc(os.environ)
    # Before there is a loop, which hears of no signal while an import lasts.
    run_to_the_end(_alone(settings, _drivers(settings)))


def _drivers(settings: Settings) -> Registry:
    """Import the drivers. Raises KeyboardInterrupt when told to end meanwhile, after the log has where that was."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # alone in a container it would not be ended by it
    try:
        return Registry.load(prefer=settings.prefer)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


async def _alone(settings: Settings, registry: Registry) -> None:
    async with alone(settings.run_dir) as still_alone:
        make_usable("MESHNET_STATE_DIR", settings.state_dir, 0o700)
        await _serve(settings, registry, still_alone)


async def _serve(settings: Settings, registry: Registry, still_alone: Callable[[], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, stop.set)
    watchdog = asyncio.create_task(Watchdog().run(), name="watchdog")
    node = await _started(settings, registry, still_alone)
    notify("READY=1")
    try:
        await _until(stop, node)
    finally:
        notify("STOPPING=1")
        await node.stop()
        watchdog.cancel()
        log.info("stopped; links go on as they are")
        _heed_no_more(loop)


def _heed_no_more(loop: asyncio.AbstractEventLoop) -> None:
    """Who tells it again to end, while the process does, is no reason for another exit code."""
    for number in ENDING:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _started(settings: Settings, registry: Registry, still_alone: Callable[[], None]) -> Node:
    """Return this node's daemon when it serves. Raises MeshnetError, for what is wrong in its directories, too."""
    try:
        node = Node(settings, open_store(settings.store), registry, still_alone)
        await node.start()
    except OSError as error:
        raise MeshnetError(f"the daemon cannot start: {error}") from error
    return node


async def _until(stop: asyncio.Event, node: Node) -> None:
    """Return when asked to stop. Raises what ended the daemon otherwise."""
    stopped = asyncio.create_task(stop.wait(), name="stop")
    failed = asyncio.create_task(node.failed(), name="failed")
    try:
        await asyncio.wait((stopped, failed), return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
    finally:
        for task in (stopped, failed):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
