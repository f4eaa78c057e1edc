"""Drivers that could not start: what kept them from it may pass, and nobody shall have to restart a daemon for that."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver.api import DriverContext
    from meshnet.driver.registry import Registry

log = logging.getLogger(__name__)


async def start_late(
    registry: Registry, make_ctx: Callable[[str], DriverContext], changed: Callable[[], None], *, every_s: float
) -> None:
    """Start drivers that could not yet, for ever.

    Args:
        registry: whose.
        make_ctx: gives the driver of that name its context.
        changed: called when one works by now, or does not for another reason than before.
        every_s: seconds between two tries.
    """
    while True:
        await asyncio.sleep(every_s)
        before = _unusable(registry)
        for entry in await registry.start_again(make_ctx):
            if not entry.unusable:
                log.info("driver %s works on this node by now", entry.name)
        if _unusable(registry) != before:
            changed()


def _unusable(registry: Registry) -> dict[str, str]:
    return {entry.name: entry.unusable for entry in registry.entries() if entry.unusable}
