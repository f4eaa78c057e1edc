"""Small files of a daemon: written whole or not at all, and named after what is from outside."""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_FRESH = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


def file_of(directory: Path, key: Iterable[str]) -> Path:
    """Return the file of a key in a directory: names from outside never reach a path."""
    return directory / (hashlib.blake2b("\0".join(key).encode(), digest_size=16).hexdigest() + ".json")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, or leave it as it was. Only its owner may read it. Raises OSError."""
    fresh = path.with_suffix(".new")
    try:
        # Buffered: a file system that is filling up takes a part of one write without a word.
        with open(os.open(fresh, _FRESH, 0o600), "wb") as file:
            file.write(data)
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
