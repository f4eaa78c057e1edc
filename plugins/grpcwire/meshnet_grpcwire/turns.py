"""Who has much to carry takes turns: one go a turn of the event loop, whatever the number of full wires.

A go is a batch that is read, or as much of a message as is written at a time. The loop serves all that is ready before
it looks for more. With a go of each full wire in one turn a single frame of another wire would wait for all of them,
and that for each of the steps on its way: read, sent, received, written.
"""

from __future__ import annotations

import asyncio
from collections import deque

LARGE = 8 << 10
"""A message of so many bytes takes turns; a full one of the smallest frames has more."""


class Turns:
    """Turns of the running event loop, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        # While it is taken `_pass_on` is called in every turn; otherwise nobody waits.
        self._taken = False
        # To one who waited, and who goes in the turn after that.
        self._given = False

    async def take(self) -> None:
        """Return in a turn that nobody else has taken: at once where nobody has asked of late."""
        loop = asyncio.get_running_loop()
        if not self._taken:
            self._taken = True
            loop.call_soon(self._pass_on)
            return
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting.append(waiting)
        await waiting

    def _pass_on(self) -> None:
        """Begin a turn: whoever was given the one before goes in this one, so that nobody else may take it."""
        before, self._given = self._given, self._give()
        self._taken = before or self._given
        if self._taken:
            asyncio.get_running_loop().call_soon(self._pass_on)

    def _give(self) -> bool:
        """Give the next turn to who waits longest, and has not been cancelled; tell whether there was one."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return True
        return False
