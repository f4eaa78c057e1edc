"""How long a watch has been without its server, and when to dial again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.backoff import doubling, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_DELAY_S, LONGEST_DELAY_S = 0.25, 8.0
PATIENCE_S = 60.0
"""So long a lost watch is dialled again; then its owner is told, who will list again in his own time."""


class Outage:
    """One row of failures: delays that double, spread, since a fleet of daemons shall not come back as one."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._delays = _delays()

    def over(self) -> None:
        """Take note that the server is there: what fails next is the first of another row."""
        self._since, self._delays = None, _delays()

    def next_delay(self, now: float) -> float | None:
        """Take note of a failure; return seconds until the next try, None when it has lasted too long."""
        self._since = now if self._since is None else self._since
        if now - self._since > PATIENCE_S:
            return None
        return spread(next(self._delays))


def _delays() -> Iterator[float]:
    return doubling(FIRST_DELAY_S, LONGEST_DELAY_S)
