"""Identifiers of 24 bits, one an endpoint and pool, kept over restarts and reboots.

The same endpoint always gets the same one. They are drawn at random, and one that was given back is not handed out to
another endpoint for ten minutes: a peer that has not heard of it yet may still send to it.

Before anybody is told one, it must survive the loss of power. An ADD would wait for the disk, which on a node whose
containers start takes 30 to 130 ms; so receive identifiers are drawn and kept ahead. One that was handed out of these
shortly before the power went rests afterwards, and its endpoint, whose pod is gone, gets another.
"""

from __future__ import annotations

import functools
import logging
import secrets
import time
from typing import TYPE_CHECKING

import attrs

from meshnet.reconcile.journal import Journal, Line, read

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from meshnet.model.topology import Endpoint

log = logging.getLogger(__name__)

RECEIVE = "receive"
"""The pool of core's own, for what a peer marks frames with."""
SPACE = 1 << 24
REST_S = 600.0
AHEAD = 256
"""Receive identifiers that are kept ahead, and filled up when half of them are used: of 20 pods with 12 links each."""
OVERGROWN = 8
"""The file is written anew when it has so many times as many lines as count."""
_AHEAD_KEY = "#"
"""Begins the key of one that nobody has yet; no endpoint's key does."""


@attrs.define
class _Pool:
    """Identifiers by endpoint; of those given back, until when they rest; those that are kept for who comes next."""

    used: dict[str, int] = attrs.field(factory=dict)
    resting: dict[str, tuple[int, float]] = attrs.field(factory=dict)
    ahead: list[int] = attrs.field(factory=list)
    taken: set[int] = attrs.field(factory=set)


class Identifiers:
    """Hands out identifiers; a file keeps them. Raises OSError when that cannot be used.

    One that can only be read, as on a full file system, is enough to begin with: who has an identifier keeps it.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._pools: dict[str, _Pool] = {RECEIVE: _Pool()}
        self._filling: asyncio.Future[None] | None = None
        self._short = ""
        lines = read(path, SPACE)
        self._load(lines)
        receive = self._pools[RECEIVE]
        receive.ahead = _draw(receive, AHEAD)
        self._journal = Journal(path, self._lines(), before=len(lines))
        if not self._journal.anew:  # what is ahead is not kept; `kept` tries again
            receive.taken.difference_update(receive.ahead)
            receive.ahead = []

    def allocate(self, pool: str, endpoint: Endpoint) -> int:
        """Return the identifier of an endpoint in a pool, 1 to 2^24 - 1.

        Raises OSError when it cannot be kept, LookupError when all are used.
        """
        known = self._pools.setdefault(pool, _Pool())
        key = str(endpoint)
        if key not in known.used:
            rested = known.resting.get(key)
            identifier, owed = (rested[0], False) if rested else self._free(pool, known)
            self._journal.append([Line(pool, key, identifier)], owed=owed)
            known.resting.pop(key, None)
            if not (rested or owed):
                known.ahead.pop()
            known.used[key] = identifier
            known.taken.add(identifier)
        return known.used[key]

    def release(self, endpoints: Iterable[Endpoint]) -> None:
        """Give back what endpoints have, in every pool; nothing there is fine.

        What cannot be written is logged: after a restart it is given back again, by `keep_only`.
        """
        keys = list(map(str, endpoints))
        self._give_back(dict.fromkeys(self._pools, keys))

    def keep_only(self, endpoints: Iterable[Endpoint]) -> None:
        """Give back what no endpoint of these has."""
        keep = set(map(str, endpoints))
        self._give_back({pool: known.used.keys() - keep for pool, known in self._pools.items()})

    async def kept(self) -> None:
        """Return when what was handed out survives the loss of power. Raises OSError."""
        await self._journal.kept()
        if self._filling is not None:
            return  # what is being kept is not in the pool yet
        if self._journal.length > OVERGROWN * AHEAD:
            self._shorten()
        if len(self._pools[RECEIVE].ahead) < AHEAD / 2:
            self._fill()

    def close(self) -> None:
        self._journal.close()

    def _free(self, pool: str, known: _Pool) -> tuple[int, bool]:
        """Return one that nobody has, and whether the disk has still to be told of it: not of the last one ahead.

        Raises LookupError.
        """
        self._end_rest(known)
        if known.ahead:
            return known.ahead[-1], False
        if len(known.taken) >= SPACE - 1:
            raise LookupError(f"pool {pool}: all {SPACE - 1} identifiers are in use")
        identifier = secrets.randbelow(SPACE - 1) + 1
        while identifier in known.taken:
            identifier = identifier % (SPACE - 1) + 1
        return identifier, True

    def _fill(self) -> None:
        """Keep more ahead; they can be handed out when they have been written."""
        receive = self._pools[RECEIVE]
        drawn = _draw(receive, AHEAD - len(receive.ahead))
        try:
            self._journal.append(map(_ahead_line, drawn), owed=False)
        except OSError as error:
            self._filled(drawn, error)
            return
        self._filling = self._journal.written()
        self._filling.add_done_callback(lambda written: self._filled(drawn, written.exception()))

    def _filled(self, drawn: Sequence[int], error: BaseException | None) -> None:
        self._filling = None
        receive = self._pools[RECEIVE]
        if error is None:
            receive.ahead += drawn
        else:
            receive.taken.difference_update(drawn)
            if str(error) != self._short:  # it is tried at each status that is written
                log.error("no receive identifiers can be kept ahead, so that ADDs wait for the disk: %s", error)
        self._short = str(error or "")

    def _give_back(self, keys: dict[str, Iterable[str]]) -> None:
        until = self._now() + REST_S
        lines = []
        for pool, known in self._pools.items():
            for key in keys[pool]:
                identifier = known.used.pop(key, None)
                if identifier is not None:
                    known.resting[key] = (identifier, until)
                    lines.append(Line(pool, key, identifier, until))
        try:
            if lines:
                self._journal.append(lines, owed=False)
        except OSError as error:
            log.error("identifiers that were given back are not written: %s", error)

    def _load(self, lines: Iterable[Line]) -> None:
        for line in lines:
            known = self._pools.setdefault(line.pool, _Pool())
            known.used.pop(line.key, None)
            known.resting.pop(line.key, None)
            if line.until:
                known.resting[line.key] = (line.identifier, line.until)
            else:
                known.used[line.key] = line.identifier
        for known in self._pools.values():
            self._end_rest(known)  # since then another may have got what rested
            self._settle_ahead(known)
            known.taken = {*known.used.values(), *(identifier for identifier, _ in known.resting.values())}

    def _settle_ahead(self, known: _Pool) -> None:
        """Let those that were kept ahead rest, as their last use may not have been written, but for those it was."""
        now = self._now()
        ahead = {key: known.used.pop(key) for key in list(known.used) if key.startswith(_AHEAD_KEY)}
        had = {*known.used.values(), *(identifier for identifier, _ in known.resting.values())}
        known.resting |= {key: (each, now + REST_S) for key, each in ahead.items() if each not in had}

    def _shorten(self) -> None:
        """Have the file written anew when little of it counts still."""
        for known in self._pools.values():
            self._end_rest(known)
        count = sum(len(known.used) + len(known.resting) for known in self._pools.values())
        if self._journal.length > OVERGROWN * (AHEAD + count):
            self._journal.renew(self._lines())

    def _end_rest(self, known: _Pool) -> None:
        now = self._now()
        for key, (identifier, until) in list(known.resting.items()):
            if until <= now:
                del known.resting[key]
                known.taken.discard(identifier)
            elif until > now + REST_S:  # the clock was ahead when it was given back
                known.resting[key] = (identifier, now + REST_S)

    def _lines(self) -> Iterator[Line]:
        """Yield what still counts."""
        for pool, known in self._pools.items():
            yield from (Line(pool, key, identifier) for key, identifier in known.used.items())
            yield from (Line(pool, key, *rest) for key, rest in known.resting.items())
            yield from map(functools.partial(_ahead_line, pool=pool), known.ahead)


def _draw(pool: _Pool, count: int) -> list[int]:
    """Take so many free identifiers out of a pool at random, or fewer where the space is tight."""
    drawn = secrets.SystemRandom().sample(range(1, SPACE), min(count, SPACE - 1))
    free = [identifier for identifier in drawn if identifier not in pool.taken]
    pool.taken.update(free)
    return free


def _ahead_line(identifier: int, pool: str = RECEIVE) -> Line:
    return Line(pool, f"{_AHEAD_KEY}{identifier}", identifier)
