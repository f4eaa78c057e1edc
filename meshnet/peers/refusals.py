"""What was refused, counted by reason, and logged so that a flood of it floods no log."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)

QUIET_S = 60.0
_REMEMBERED = 256


class Refusals:
    """Counts refusals; says each kind from each place once a minute."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._counts: Counter[str] = Counter()
        self._said: dict[tuple[str, str], float] = {}

    def add(self, reason: str, where: str, detail: str) -> None:
        """Count a refusal.

        Args:
            reason: a CamelCase word.
            where: the address or the node that was refused.
            detail: one line for the log.
        """
        self._counts[reason] += 1
        if self._tell(reason, where):
            log.warning("refused %s: %s: %s (%d so far)", where, reason, detail, self._counts[reason])

    def counts(self) -> Mapping[str, int]:
        return dict(self._counts)

    def _tell(self, reason: str, where: str) -> bool:
        now = self._now()
        host = where.rpartition(":")[0] or where  # each connection has a port of its own
        if now - self._said.get((reason, host), -QUIET_S) < QUIET_S:
            return False
        self._said = {key: then for key, then in self._said.items() if now - then < QUIET_S}
        if len(self._said) >= _REMEMBERED:
            return False
        self._said[reason, host] = now
        return True
