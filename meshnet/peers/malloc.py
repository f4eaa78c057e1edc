"""The memory of a message is kept for the next one: returning and faulting it would halve what a stream carries."""

from __future__ import annotations

import ctypes
import functools

_TRIM_THRESHOLD = (-1, 64 << 20)
_TOP_PAD = (-2, 16 << 20)
_MMAP_THRESHOLD = (-3, 64 << 20)


@functools.cache
def keep_message_memory() -> None:
    """Tell glibc once; other C libraries have no such setting, and need none."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, size in (_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD):
            mallopt(parameter, size)
