"""Standard output that tells in one line why it takes no more: a full disk is no bug."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO, TypeVar

    T = TypeVar("T")


class Stdout:
    """A stream as it is, but `write` and `flush` raise MeshnetError where the device takes no more.

    A pipe that nobody reads stays a BrokenPipeError. What cannot be written in the stream's encoding, as a file's name
    that is no text, is escaped.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        return _told(lambda: self._stream.write(text))

    def flush(self) -> None:
        _told(self._stream.flush)


def _told(act: Callable[[], T]) -> T:
    try:
        return act()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StdoutFull(f"standard output: {error.strerror}") from error


class StdoutFull(MeshnetError):  # noqa: N818 - what happened
    """Standard output takes no more."""
