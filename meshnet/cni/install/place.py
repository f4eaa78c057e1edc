"""Files that others may be reading or running: put there whole in one step, or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
from typing import TYPE_CHECKING

from meshnet.errors import MeshnetError
from meshnet.wholefile import sync_directory

if TYPE_CHECKING:
    from pathlib import Path

HALF = ".half"
"""What the name of a file that is not written whole ends in."""
FORGOTTEN_S = 60.0
"""Age of a half-written file whose writer is certainly gone."""


class InstallError(MeshnetError):
    """A file on the node cannot be put where it belongs, or removed: which, and why."""


def is_there(path: Path, content: bytes, mode: int) -> bool:
    """Whether `path` is a regular file with exactly this content and mode. Raises OSError when it cannot be read."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or stat.S_IMODE(found.st_mode) != mode or found.st_size != len(content):
            return False
        return path.read_bytes() == content
    except FileNotFoundError:
        return False


def place(path: Path, content: bytes, mode: int) -> bool:
    """Make `path` a file with this content and mode by a rename; whether anything had to be done.

    Who reads or runs the old file goes on with the old one. Blocks for a disk. Raises InstallError.
    """
    try:
        _sweep(path)
        if is_there(path, content, mode):
            return False
        _write(path, content, mode)
    except OSError as error:
        raise InstallError(f"{path}: cannot be written: {error.strerror}") from error
    return True


def take_away(path: Path) -> bool:
    """Remove a file; whether there was one. Raises InstallError."""
    try:
        path.unlink()
        sync_directory(path.parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InstallError(f"{path}: cannot be removed: {error.strerror}") from error
    return True


def _write(path: Path, content: bytes, mode: int) -> None:
    # a dot before and an end of its own: no runtime takes it for a list, no user for a plugin
    fd, fresh = tempfile.mkstemp(prefix=f".{path.name}.", suffix=HALF, dir=path.parent)
    try:
        with open(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(fd, mode)
            os.fsync(fd)
        os.replace(fresh, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise
    sync_directory(path.parent)


def _sweep(path: Path) -> None:
    """Remove what a writer that was killed left half-written; what else is there, as an editor's swap file, stays."""
    for left in path.parent.glob(f".{path.name}.*{HALF}"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - left.lstat().st_mtime > FORGOTTEN_S:
                left.unlink()
