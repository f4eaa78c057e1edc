"""Being nobody for a moment: root sees what is closed to others."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def closed(directory: Path) -> Iterator[None]:
    """Keep a directory from everybody but root, and be somebody else for the block."""
    directory.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        directory.chmod(0o700)
