"""No more than so many requests a second, and those that a pod waits for first."""

from __future__ import annotations

import asyncio
from collections import deque

RATE, BURST, RESERVE = 50.0, 200, 50
"""A node has at most some 110 pods, each with one write at ADD and one when its links are up: that passes at once."""

LEAST_S = 0.001
"""A clock may be a hair's breadth short of what was waited for."""


class RateLimit:
    """A bucket of tokens, one a request, which fills with time.

    Args:
        rate: tokens a second.
        burst: tokens in a full bucket.
        reserve: of them, those that only urgent requests may take.
    """

    def __init__(self, rate: float = RATE, burst: int = BURST, reserve: int = RESERVE) -> None:
        self._rate = rate
        self._burst = burst
        self._reserve = reserve
        self._tokens = float(burst)
        self._at: float | None = None
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, *, urgent: bool) -> None:
        """Return when a request may be sent: in order of asking, urgent ones first."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting[urgent].append(turn)
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._tokens += 1.0  # given, but not used
                self._serve()
            raise

    def _serve(self) -> None:
        self._fill()
        for urgent, least in ((True, 1.0), (False, 1.0 + self._reserve)):
            lane = self._waiting[urgent]
            while lane:
                if lane[0].done():  # cancelled while it waited
                    lane.popleft()
                elif self._tokens >= least:
                    self._tokens -= 1.0
                    lane.popleft().set_result(None)
                else:
                    self._look_again((least - self._tokens) / self._rate)
                    return

    def _fill(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._at is not None:
            self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._rate)
        self._at = now

    def _look_again(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(delay_s, LEAST_S), self._serve)
