"""Standard output that tells in one line why it takes no more: a full disk is no bug."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NoReturn

from meshnet.cli.streams import Guarded
from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    from typing import TextIO


class Stdout(Guarded):
    """`write` and `flush` raise StdoutFull where the device takes no more.

    What cannot be written in the stream's encoding, as a file's name that is no text, is escaped.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def refused(self, error: OSError) -> NoReturn:
        raise StdoutFull(f"standard output: {error.strerror}") from error


class StdoutFull(MeshnetError):  # noqa: N818 - what happened
    """Standard output takes no more."""
