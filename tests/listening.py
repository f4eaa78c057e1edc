"""Waiting for a socket in the file system."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def listens(path: Path) -> bool:
    """Whether somebody answers there: a socket has its name a moment before it listens."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0
