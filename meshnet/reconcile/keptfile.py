"""Small files of a daemon, named after what is from outside."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def file_of(directory: Path, key: Iterable[str]) -> Path:
    """Return the file of a key in a directory: names from outside never reach a path."""
    return directory / (hashlib.blake2b("\0".join(key).encode(), digest_size=16).hexdigest() + ".json")
