"""Files that are written whole or not at all, however their writer ends."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def write_whole(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a file, or leave it as it was. Only its owner may read it; it has one writer at a time.

    What a writer that was killed leaves beside it ends in ``.new``. Raises OSError.

    Args:
        path: of the file.
        data: all that is in it.
        durable: it survives the loss of power by the time that this returns, which waits for the disk.
    """
    fresh = path.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        # Buffered: a file system that is filling up takes a part of one write without a word.
        with open(os.open(fresh, _FRESH, 0o600), "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Have the names in a directory survive the loss of power. Waits for the disk; raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
