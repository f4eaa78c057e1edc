"""Calls: requests sent in turn, repeated where that helps and does no harm; what comes is a document, or our error."""

from __future__ import annotations

import asyncio
import functools
import random
from typing import TYPE_CHECKING, Any

from meshnet.backoff import spread
from meshnet.errors import StoreUnavailable
from meshnet.stores.kubernetes.door import Unreachable
from meshnet.stores.kubernetes.errors import closed, document_of

if TYPE_CHECKING:
    from meshnet.stores.kubernetes.door import Answer, Door
    from meshnet.stores.kubernetes.rate import RateLimit
    from meshnet.stores.kubernetes.request import Request
    from meshnet.stores.kubernetes.threads import Threads

TRIES = 4
FIRST_DELAY_S = 0.2
NOT_DONE = (429, 503)
"""Statuses of a server that did not even begin, when they come with Retry-After."""

PERHAPS_DONE = (429, 500, 502, 503, 504)


class Calls:
    """What is sent, and how often."""

    def __init__(self, door: Door, threads: Threads, rate: RateLimit) -> None:
        self._door = door
        self._threads = threads
        self._rate = rate
        self.closed = False

    async def send(self, request: Request) -> dict[str, Any]:
        """Return the document that the server answers with. Raises what `refusal` returns, StoreUnavailable."""
        if self.closed:
            raise closed()
        heard: list[Answer | Unreachable] = []
        try:
            async with asyncio.timeout(request.limit_s):
                await self._ask(request, heard)
        except TimeoutError:
            if not heard:  # else what came before it was asked again tells more
                raise StoreUnavailable(f"{self._of(request)}: no answer in {request.limit_s:g} s") from None
        outcome = heard[-1]
        if isinstance(outcome, Unreachable):
            raise StoreUnavailable(f"{self._of(request)}: {outcome}") from outcome
        return document_of(request, outcome, self._server)

    def close(self) -> None:
        """Send nothing any more; what is under way ends by itself. Idempotent."""
        if not self.closed:
            self.closed = True
            self._door.close()
            self._threads.close()

    async def _ask(self, request: Request, heard: list[Answer | Unreachable]) -> None:
        """Send a request until there is no use in it, or its time is over; `heard` is what came of each try."""
        end = asyncio.get_running_loop().time() + request.limit_s
        for repeated in range(TRIES):
            await self._rate.turn(urgent=request.urgent)
            if self.closed:
                raise closed()
            heard.append(await self._once(request))
            delay = pause(request, heard[-1], repeated)
            if delay is None or repeated == TRIES - 1 or asyncio.get_running_loop().time() + delay >= end:
                return
            await asyncio.sleep(delay)

    async def _once(self, request: Request) -> Answer | Unreachable:
        try:
            return await self._threads.run(functools.partial(self._door.ask, request))
        except Unreachable as error:
            return error

    def _of(self, request: Request) -> str:
        return f"{request.what}: {request.verb} {request.resource} at {self._server}"

    @property
    def _server(self) -> str:
        return f"the API server {self._door.server}".rstrip()


def pause(request: Request, outcome: Answer | Unreachable, repeated: int) -> float | None:
    """Return seconds to wait before a request is sent again, None when it must not be.

    Args:
        request: that was sent.
        outcome: of it.
        repeated: how often it was sent again already.
    """
    delay = spread(FIRST_DELAY_S * (1 << repeated))
    if isinstance(outcome, Unreachable):
        if outcome.sent and not request.repeatable:
            return None
        # A connection that the server closed while it was idle is replaced at once.
        return 0.0 if outcome.sent and repeated == 0 else delay
    if outcome.retry_after_s is not None and outcome.status in NOT_DONE:
        return max(delay, outcome.retry_after_s * random.uniform(1.0, 1.25))  # noqa: S311
    return delay if outcome.status in PERHAPS_DONE and request.repeatable else None
