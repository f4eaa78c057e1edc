"""The signals that end a command, as an exception: what it holds is let go of in order."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGHUP)
"""SIGINT is Python's own: it raises KeyboardInterrupt."""


class ToldToEnd(KeyboardInterrupt):
    """A signal has come that ends this process: nobody takes it for an error of a stranger's module.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(signal.Signals(number).name)


class Ending:
    """For the length of a ``with``, the first signal of `ENDING` raises `ToldToEnd`; those that follow do nothing.

    A signal that is ignored, as under nohup, stays so. A child that is forked meanwhile just ends.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._before: dict[signal.Signals, Any] = {}
        self._told: int | None = None
        self._postponed = False

    def __enter__(self) -> Self:
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def postponed(self) -> Iterator[None]:
        """Raise at the end of a ``with`` only, for an interrupt, too: what is done in it is done whole."""
        self._postponed, interrupts = True, []
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
        try:
            yield
        finally:
            self._postponed = False
            signal.signal(signal.SIGINT, before)
        if self._told is not None:
            raise ToldToEnd(self._told)
        if interrupts:
            raise KeyboardInterrupt

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._pid:
            os._exit(128 + number)
        if self._told is not None:
            return
        self._told = number
        if not self._postponed:
            raise ToldToEnd(number)
