"""Logs are on a tmpfs, which is memory: only the end of each is kept."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.lab import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KEPT = 4 << 20
"""Bytes kept of a log."""
_BLOCK = 1 << 12
_CHUNK = 1 << 16


def trim_logs(directories: Iterable[Path]) -> None:
    """Give the beginning of every long ``*.log`` below `directories` back; whoever writes it does not notice."""
    for directory in directories:
        with contextlib.suppress(OSError):  # somebody removes directories meanwhile
            for path in directory.rglob("*.log"):
                with contextlib.suppress(OSError, KernelError):
                    trim(path)


def trim(path: Path) -> None:
    """Free all of a file but its last `KEPT` bytes; sizes and offsets stay, the beginning reads as a hole.

    Raises OSError, KernelError.
    """
    if path.stat().st_blocks * 512 <= 2 * KEPT:
        return
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        syscalls.forget_beginning(fd, (os.fstat(fd).st_size - KEPT) // _BLOCK * _BLOCK)
    finally:
        os.close(fd)


def kept(fd: int) -> Iterator[bytes]:
    """Yield what a log has from where `fd` is to where it ends now, without what has been given back, also by now."""
    end = os.fstat(fd).st_size
    while (here := os.lseek(fd, 0, os.SEEK_CUR)) < end:
        with contextlib.suppress(OSError):  # all of that is a hole, or it was cut off meanwhile
            os.lseek(fd, here, os.SEEK_DATA)
        chunk = os.read(fd, _CHUNK)
        if not chunk:
            return
        yield chunk
