"""Keeps a wire's stream open, from the end that opens it."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING

from meshnet.errors import LinkError, StreamEnded
from meshnet_grpcwire.path import STREAM_LOST, STREAM_REFUSED

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from meshnet.driver import DriverContext
    from meshnet_grpcwire.path import Path
    from meshnet_grpcwire.wire import Wire

FIRST_DELAY_S = 0.1
SOON_S = 0.5
"""The longest delay while the other daemon may be restarting: carrier waits for it."""
SOON_TRIES = 24
LONGEST_DELAY_S = 5.0
STEADY_S = 5.0
"""A stream that lived so long was a good one: the next is opened at once again."""


def opens(wire: Wire) -> bool:
    """Tell whether this end opens the stream: the lower one does."""
    return wire.link.local.sort_key < wire.route.peer.sort_key


async def keep_open(wire: Wire, ctx: DriverContext, path: Path) -> None:
    """Open the wire's stream, have it served, and open it again whenever it ended. Ends by being cancelled."""
    loop = asyncio.get_running_loop()
    delays = back_off()
    while True:
        opened = loop.time()
        await _once(wire, ctx, path)
        if loop.time() - opened > STEADY_S:
            delays = back_off()
        await asyncio.sleep(next(delays))


async def _once(wire: Wire, ctx: DriverContext, path: Path) -> None:
    node = wire.route.node
    try:
        stream = await ctx.stream(wire.link, node)
    except (LinkError, StreamEnded) as error:
        _not_opened(ctx.log, wire, path, error)
        return
    except Exception as error:
        ctx.log.exception("%s: opening a stream to node %s", wire.link.local, node)
        _not_opened(ctx.log, wire, path, error)
        return
    await wire.serve(stream)


def back_off() -> Iterator[float]:
    """Yield the seconds to wait: none at first, then longer and longer, with chance, so that nodes do not keep step."""
    yield 0.0
    delay = FIRST_DELAY_S
    for number in itertools.count():
        yield delay * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        delay = min(2 * delay, SOON_S if number < SOON_TRIES else LONGEST_DELAY_S)


def _not_opened(log: logging.Logger, wire: Wire, path: Path, error: Exception) -> None:
    log.debug("%s: no stream to node %s: %s", wire.link.local, wire.route.node, str(error) or type(error).__name__)
    unanswered = isinstance(error, LinkError) and error.reason == "PeerUnreachable"
    path.lost(STREAM_LOST if unanswered else STREAM_REFUSED)
