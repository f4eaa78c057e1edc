"""What other programs must not do to a SQLite file in use, noticed before SQLite trips over it.

SQLite maps ``-shm`` into memory. Reading a page of it that somebody has cut off ends the process (SIGBUS).
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from meshnet.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = ("", "-wal", "-shm")
SHM_STEP = 32 << 10
"""SQLite makes ``-shm`` longer by so many bytes at a time; it never makes it shorter while anybody uses it."""


class FileGuard:
    """Knows the files of an open database by their inodes, and how long ``-shm`` was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, tuple[int, int]] = {}
        self._shm_length = 0

    def look(self) -> None:
        """Look at the files before they are used. A ``-shm`` that was cut off is mended: SQLite builds it anew.

        Raises StoreUnavailable when one was removed or replaced: this process would go on in a file that nobody else
        finds; and when that cannot be told.
        """
        for suffix in SUFFIXES:
            found = self._stat(suffix)
            inode = None if found is None else (found.st_dev, found.st_ino)
            if inode is not None and suffix not in self._known:
                self._known[suffix] = inode
            elif inode != self._known.get(suffix):
                raise StoreUnavailable(
                    f"store {self._path}{suffix}: was removed or replaced while in use: start again what uses it"
                )
            if suffix == "-shm" and found is not None:
                self._mend(found.st_size)

    def _mend(self, length: int) -> None:
        if length >= self._shm_length:
            self._shm_length = length
            return
        # By path: to open and close it here would drop SQLite's locks on it. Empty first: of an index with a good
        # beginning and nothing behind it SQLite would believe that there is nothing.
        with contextlib.suppress(FileNotFoundError):
            os.truncate(f"{self._path}-shm", 0)
            os.truncate(f"{self._path}-shm", self._shm_length + SHM_STEP)

    def _stat(self, suffix: str) -> os.stat_result | None:
        try:
            return os.stat(f"{self._path}{suffix}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreUnavailable(f"store {self._path}{suffix}: {error.strerror}") from error
