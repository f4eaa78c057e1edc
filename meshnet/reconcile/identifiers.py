"""Identifiers of 24 bits, one an endpoint and pool, kept over restarts and reboots.

The same endpoint always gets the same one. They start at random, and one that was given back is not handed out again
for ten minutes: a peer that has not heard of it yet may still send to it.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshnet.model.topology import Endpoint

log = logging.getLogger(__name__)

SPACE = 1 << 24
REST_S = 600.0


@attrs.define
class _Pool:
    """Identifiers by endpoint, and when those given back may be handed out again."""

    used: dict[str, int]
    resting: dict[int, float]


class Identifiers:
    """Hands out identifiers; a file keeps them."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._pools = self._load()

    def allocate(self, pool: str, endpoint: Endpoint) -> int:
        """Return the identifier of an endpoint in a pool, 1 to 2^24 - 1.

        Raises OSError when it cannot be kept, LookupError when all are used.
        """
        known = self._pools.setdefault(pool, _Pool({}, {}))
        key = str(endpoint)
        if key not in known.used:
            known.used[key] = self._free(pool, known)
            self._save()
        return known.used[key]

    def release(self, pool: str, endpoint: Endpoint) -> None:
        """Give an endpoint's identifier back; none there is fine. Raises OSError."""
        known = self._pools.get(pool)
        identifier = known.used.pop(str(endpoint), None) if known else None
        if known is not None and identifier is not None:
            known.resting[identifier] = self._now() + REST_S
            self._save()

    def _free(self, pool: str, known: _Pool) -> int:
        now = self._now()
        known.resting = {identifier: until for identifier, until in known.resting.items() if until > now}
        taken = set(known.used.values()) | known.resting.keys()
        if len(taken) >= SPACE - 1:
            raise LookupError(f"pool {pool}: all {SPACE - 1} identifiers are in use")
        identifier = secrets.randbelow(SPACE - 1) + 1
        while identifier in taken:
            identifier = identifier % (SPACE - 1) + 1
        return identifier

    def _load(self) -> dict[str, _Pool]:
        try:
            return {name: _decode(pool) for name, pool in json.loads(self._path.read_bytes()).items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Peers are told the new ones; a daemon that does not start tells nobody anything.
            log.error("%s cannot be read and is set aside: %r", self._path, error)
            self._path.replace(self._path.with_suffix(".broken"))
            return {}

    def _save(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({name: attrs.asdict(pool) for name, pool in self._pools.items()}))
        fresh.replace(self._path)


def _decode(saved: Any) -> _Pool:
    used = {str(endpoint): int(identifier) for endpoint, identifier in saved["used"].items()}
    return _Pool(used, {int(identifier): float(until) for identifier, until in saved["resting"].items()})
