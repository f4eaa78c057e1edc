"""Changes of directories, as the kernel tells them: a descriptor that an event loop can wait for."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from meshnet.errors import KernelError

if TYPE_CHECKING:
    from pathlib import Path

IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_ONLYDIR = 0x1000000

# no IN_MODIFY: a file that is being written is looked at when its writer is done
OF_FILES = IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
EVENTS = OF_FILES | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
BUFFER = 64 * 1024


class DirectoryWatch:
    """Tells that something changed in the watched directories, not what: who hears it looks for himself.

    Raises KernelError when the kernel has no more instances for this user.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise KernelError(ctypes.get_errno(), "watch directories")

    def fileno(self) -> int:
        return self._fd

    def add(self, directory: Path) -> None:
        """Watch `directory`; again is fine, and finds one that was made anew. Raises KernelError."""
        if self._libc.inotify_add_watch(self._fd, os.fsencode(directory), EVENTS) < 0:
            raise KernelError(ctypes.get_errno(), f"watch {directory}")

    def drain(self) -> None:
        """Take every event that is there. Never blocks."""
        try:
            while os.read(self._fd, BUFFER):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        os.close(self._fd)
