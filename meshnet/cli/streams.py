"""The standard streams: a caller may have closed their descriptors, and a device take no more."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


class StdoutFull(MeshnetError):  # noqa: N818 - what happened
    """Standard output takes no more."""


class Guarded:
    """A stream as it is, but for what happens where the device does not take what is written.

    A pipe that nobody reads stays a BrokenPipeError.

    Args:
        stream: to be written to.
        refused: called where the device takes no more, with the error.
    """

    def __init__(self, stream: TextIO, refused: Callable[[OSError], None]) -> None:
        self._stream = stream
        self._refused = refused

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._refused(error)


def guarded_stdout() -> Guarded:
    """Return standard output as it raises StdoutFull, one line, on a full disk.

    What cannot be written in its encoding, as a file's name that is no text, is escaped.
    """

    def tell(error: OSError) -> NoReturn:
        raise StdoutFull(f"standard output: {error.strerror}") from error

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return Guarded(sys.stdout, tell)


def guarded_stderr() -> Guarded:
    """Return standard error as it loses what the device does not take: a command does without a remark what it does."""
    return Guarded(sys.stderr, lambda _error: None)


def open_closed_streams() -> None:
    """Have the standard descriptors lead nowhere that are closed, as daemons do.

    What is opened next would get their numbers, and be written to by all who take it for standard output.
    `sys.stdin` stays None: who wants to read it can say that there is none.
    """
    closed = [fd for fd in range(3) if not _is_open(fd)]
    for fd in closed:
        os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
        os.set_inheritable(fd, True)
    if 1 in closed and sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - for as long as the process lives
    if 2 in closed and sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - as above


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
