"""Interface indexes for ports: one is never used twice while the node is up.

A number in a filter could otherwise come to mean another pod's port. They start at 2^20, so that they never equal the
index of the pod's end: equal indexes at both ends of a veth make the kernel delay carrier loss to the next second.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.presence import exists
from meshnet.wholefile import write_whole

if TYPE_CHECKING:
    from pathlib import Path

FIRST = 1 << 20
LAST = (1 << 31) - 1
BLOCK = 4096


class Indices:
    """Hands out interface indexes; the file keeps how far they were handed out, a block ahead."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            kept = int(path.read_text())
        except (FileNotFoundError, ValueError):
            kept = FIRST
        self._reserved = kept if FIRST <= kept <= LAST else FIRST
        self._next = self._reserved

    def take(self) -> int:
        """Return an index that was never returned before. Raises KernelError when that cannot be written down."""
        if self._next >= self._reserved:
            self._reserve(self._next + BLOCK)
        index = self._next
        self._next += 1
        return index

    def seen(self, index: int) -> None:
        """Take note of an index found in use."""
        self._next = max(self._next, index + 1)

    def put_back(self) -> None:
        """Write down again how far they were handed out, if somebody removed that. Raises OSError."""
        if self._reserved > FIRST and not exists(self._path):
            self._write(self._reserved)

    def _reserve(self, mark: int) -> None:
        try:
            self._write(mark)
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, f"reserve interface numbers in {self._path}") from error
        self._reserved = mark

    def _write(self, mark: int) -> None:
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)  # somebody may have removed it
        write_whole(self._path, str(mark).encode())
