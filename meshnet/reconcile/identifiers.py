"""Identifiers of 24 bits, one an endpoint and pool, kept over restarts and reboots.

The same endpoint always gets the same one. They are drawn at random, and one that was given back is not handed out to
another endpoint for ten minutes: a peer that has not heard of it yet may still send to it.

The file is a journal, a line a change, so that an ADD costs the same however many there are; it is written anew when
the daemon starts.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from meshnet.model.topology import Endpoint

log = logging.getLogger(__name__)

RECEIVE = "receive"
"""The pool of core's own, for what a peer marks frames with."""
SPACE = 1 << 24
REST_S = 600.0


@attrs.define
class _Pool:
    """Identifiers by endpoint; of those given back, until when they rest."""

    used: dict[str, int] = attrs.field(factory=dict)
    resting: dict[str, tuple[int, float]] = attrs.field(factory=dict)
    taken: set[int] = attrs.field(factory=set)


class Identifiers:
    """Hands out identifiers; a file keeps them."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._pools: dict[str, _Pool] = {}
        self._dirty = False
        self._keeping = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "identifiers")
        self._load()
        self._journal = self._begin()

    def allocate(self, pool: str, endpoint: Endpoint) -> int:
        """Return the identifier of an endpoint in a pool, 1 to 2^24 - 1.

        Raises OSError when it cannot be kept, LookupError when all are used.
        """
        known = self._pools.setdefault(pool, _Pool())
        key = str(endpoint)
        if key not in known.used:
            rested = known.resting.pop(key, None)
            identifier = rested[0] if rested else self._free(pool, known)
            self._write([(pool, key, identifier, 0.0)])
            known.used[key] = identifier
            known.taken.add(identifier)
        return known.used[key]

    def release(self, endpoints: Iterable[Endpoint]) -> None:
        """Give back what endpoints have, in every pool; nothing there is fine.

        What cannot be written is logged: after a restart it is given back again, by `keep_only`.
        """
        until = self._now() + REST_S
        lines = []
        for key in map(str, endpoints):
            for pool, known in self._pools.items():
                identifier = known.used.pop(key, None)
                if identifier is not None:
                    known.resting[key] = (identifier, until)
                    lines.append((pool, key, identifier, until))
        self._give_back(lines)

    def keep_only(self, endpoints: Iterable[Endpoint]) -> None:
        """Give back what no endpoint of these has."""
        keep = set(map(str, endpoints))
        until = self._now() + REST_S
        lines = []
        for pool, known in self._pools.items():
            for key in known.used.keys() - keep:
                identifier = known.used.pop(key)
                known.resting[key] = (identifier, until)
                lines.append((pool, key, identifier, until))
        self._give_back(lines)

    async def kept(self) -> None:
        """Return when what was handed out survives the loss of power. Raises OSError."""
        async with self._keeping:
            if not self._dirty:
                return
            self._dirty = False
            try:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._thread, os.fdatasync, self._journal)
            except BaseException:
                self._dirty = True
                raise

    def close(self) -> None:
        self._thread.shutdown()
        os.close(self._journal)

    def _free(self, pool: str, known: _Pool) -> int:
        now = self._now()
        for key, (identifier, until) in list(known.resting.items()):
            if until <= now:
                del known.resting[key]
                known.taken.discard(identifier)
        if len(known.taken) >= SPACE - 1:
            raise LookupError(f"pool {pool}: all {SPACE - 1} identifiers are in use")
        identifier = secrets.randbelow(SPACE - 1) + 1
        while identifier in known.taken:
            identifier = identifier % (SPACE - 1) + 1
        return identifier

    def _give_back(self, lines: Sequence[tuple[str, str, int, float]]) -> None:
        try:
            if lines:
                self._write(lines)
        except OSError as error:
            log.error("identifiers that were given back are not written: %s", error)

    def _write(self, lines: Iterable[tuple[str, str, int, float]]) -> None:
        _append(self._journal, lines)
        self._dirty = True

    def _load(self) -> None:
        """Read the journal. A line that cannot be read is one that a lost machine did not finish: nobody was told."""
        try:
            text = self._path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return
        unread = 0
        for line in text.splitlines():
            try:
                pool, key, identifier, until = json.loads(line)
                self._take(str(pool), str(key), int(identifier), float(until))
            except (ValueError, TypeError, RecursionError):
                unread += 1
        for known in self._pools.values():
            known.taken = {*known.used.values(), *(identifier for identifier, _ in known.resting.values())}
        if unread:
            log.error("%s: %d lines cannot be read and are left out", self._path, unread)

    def _take(self, pool: str, key: str, identifier: int, until: float) -> None:
        if not 0 < identifier < SPACE:
            raise ValueError(identifier)
        known = self._pools.setdefault(pool, _Pool())
        known.used.pop(key, None)
        known.resting.pop(key, None)
        if until:
            known.resting[key] = (identifier, until)
        else:
            known.used[key] = identifier

    def _begin(self) -> int:
        """Write the journal anew, with what still counts, and return it open. Raises OSError."""
        fresh = self._path.with_suffix(".new")
        journal = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            for pool, known in self._pools.items():
                used = [(pool, key, identifier, 0.0) for key, identifier in known.used.items()]
                _append(journal, used + [(pool, key, *rest) for key, rest in known.resting.items()])
            os.fdatasync(journal)
            fresh.replace(self._path)
            _sync_directory(self._path.parent)
        except BaseException:
            os.close(journal)
            raise
        return journal


def _append(journal: int, lines: Iterable[tuple[str, str, int, float]]) -> None:
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    size = os.fstat(journal).st_size
    if os.write(journal, data) != len(data):
        os.ftruncate(journal, size)  # half a line would spoil the next one, too
        raise OSError(errno.ENOSPC, "identifiers cannot be kept: the file system is full")


def _sync_directory(directory: Path) -> None:
    """Have a file's new name survive the loss of power."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
