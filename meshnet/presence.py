"""Whether a path is there, where not to know that is an error: pathlib's own say no then from Python 3.14 on."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def exists(path: Path) -> bool:
    """Tell whether something is there, behind links, too. Raises OSError where that cannot be told."""
    return _mode(path) is not None


def is_file(path: Path) -> bool:
    """Tell whether a regular file is there, behind links, too. Raises OSError where that cannot be told."""
    mode = _mode(path)
    return mode is not None and stat.S_ISREG(mode)


def is_directory(path: Path) -> bool:
    """Tell whether a directory is there, behind links, too. Raises OSError where that cannot be told."""
    mode = _mode(path)
    return mode is not None and stat.S_ISDIR(mode)


def _mode(path: Path) -> int | None:
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
