"""Standard error that nobody has to be able to write to: a full disk is no bug, and cannot be told there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO


class Stderr:
    """A stream as it is, but what the device does not take is lost: what a command does, it does without a remark, too.

    A pipe that nobody reads stays a BrokenPipeError.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        _if_possible(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        _if_possible(self._stream.flush)


def _if_possible(act: Callable[[], object]) -> None:
    try:
        act()
    except BrokenPipeError:
        raise
    except OSError:
        pass
