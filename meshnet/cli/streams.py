"""The three standard descriptors, which a caller may have closed."""

from __future__ import annotations

import os
import sys


def open_closed_streams() -> None:
    """Have the standard descriptors lead nowhere that are closed, as daemons do.

    What is opened next would get their numbers, and be written to by all who take it for standard output.
    `sys.stdin` stays None: who wants to read it can say that there is none.
    """
    closed = [fd for fd in range(3) if not _is_open(fd)]
    for fd in closed:
        os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        os.set_inheritable(fd, True)
    if 1 in closed and sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - for as long as the process lives
    if 2 in closed and sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - as above


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
