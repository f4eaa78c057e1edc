"""Being like anybody for a moment: root sees what is closed to others."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PAST_PERMISSIONS = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
_HEADER = struct.pack("=Ii", 0x20080522, 0)
_CAPABILITIES = struct.Struct("=6I")


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's way past permissions, for this thread and those that it starts; an ordinary user has none anyway.

    The uid stays: what root alone may read, as a checkout in its home, is still found.
    """
    before = _capabilities()
    _set(before[0] & ~_PAST_PERMISSIONS, *before[1:])
    try:
        yield
    finally:
        _set(*before)


@contextlib.contextmanager
def closed(directory: Path) -> Iterator[None]:
    """Keep a directory from everybody but root, and be nobody."""
    directory.chmod(0)
    try:
        with as_nobody():
            yield
    finally:
        directory.chmod(0o700)


def _capabilities() -> tuple[int, ...]:
    data = ctypes.create_string_buffer(_CAPABILITIES.size)
    _call("capget", data)
    return _CAPABILITIES.unpack(data.raw)


def _set(*capabilities: int) -> None:
    _call("capset", ctypes.create_string_buffer(_CAPABILITIES.pack(*capabilities)))


def _call(name: str, data: ctypes.Array[ctypes.c_char]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(ctypes.create_string_buffer(_HEADER), data) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
