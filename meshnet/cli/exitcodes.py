"""Which exit code tells which error: 0 done, 1 it did not become true, 2 wrong use, 3 unreachable."""

from __future__ import annotations

from meshnet.errors import DaemonUnreachable, MeshnetError, StoreUnavailable, UsageError

DONE = 0
FAILED = 1
WRONG_USE = 2
UNREACHABLE = 3
INTERRUPTED = 130
BROKEN_PIPE = 141

_BY_CLASS: dict[type[MeshnetError], int] = {
    MeshnetError: FAILED,
    UsageError: WRONG_USE,
    DaemonUnreachable: UNREACHABLE,
    StoreUnavailable: UNREACHABLE,
}


def exit_code(error: type[MeshnetError]) -> int:
    """Return the exit code of an error class: its own, or that of its nearest base."""
    return next(_BY_CLASS[base] for base in error.__mro__ if base in _BY_CLASS)
