"""Being like anybody for a moment: root sees what is closed to others."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOBODY = 65534

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


def ordinary_user() -> int:
    """The uid of a user that is not root: who runs the tests, or nobody."""
    return os.geteuid() or _NOBODY


@contextlib.contextmanager
def for_everybody(script: Path) -> Iterator[Path]:
    """A directory with a script in it, where everybody may write and nobody takes what is another's."""
    directory = Path(tempfile.mkdtemp(prefix="meshnet-test-"))
    try:
        directory.chmod(0o1777)
        shutil.copy(script, directory)
        yield directory
    finally:
        shutil.rmtree(directory)


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
