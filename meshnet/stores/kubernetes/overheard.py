"""What the Kubernetes client tells the log alone, where it raises nothing: why who signs in for a user has failed."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from typing import TYPE_CHECKING

from meshnet.model.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def overheard() -> Iterator[list[str]]:
    """Collect the errors that this thread logs in a ``with``, one line each.

    Where nobody else listens they go nowhere else; `logging` would print them for want of a handler.
    """
    root, listener = logging.getLogger(), _Listener()
    root.addHandler(listener)
    try:
        yield listener.told
    finally:
        root.removeHandler(listener)


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        # It strips the words of a program that failed: at a terminal, which had them, it has None.
        stumbled = isinstance(sys.exc_info()[1], AttributeError)
        text = "its own words are above" if stumbled else record.getMessage()
        self.told.append(printable(" ".join(text.split())))
