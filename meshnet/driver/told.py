"""What a stranger's objects and errors say of themselves: one printable line, whatever they are made of.

It goes into logs, statuses, events and terminals.
"""

from __future__ import annotations

from meshnet.errors import MeshnetError
from meshnet.model.printable import printable

LONGEST = 1000
"""Characters of what a driver says; a store takes not much more of a message."""
LONGEST_SHOWN = 200
"""Characters of a result or an attribute."""


def one_line(text: str, longest: int = LONGEST) -> str:
    """Return a text in one line of what can be printed: breaks are blanks, all else that cannot is escaped."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def shown(thing: object) -> str:
    """Return what an object looks like; of one that cannot tell, its class."""
    try:
        return one_line(repr(thing), LONGEST_SHOWN)
    except KeyboardInterrupt:
        raise  # the user's
    except BaseException:  # noqa: BLE001 - it is a stranger's
        return type(thing).__name__


def said(error: BaseException) -> str:
    """Return what an error says, ``""`` when that is nothing or it cannot tell."""
    try:
        return one_line(str(error))
    except KeyboardInterrupt:
        raise  # the user's
    except BaseException:  # noqa: BLE001 - it is a stranger's
        return ""


def of_error(error: BaseException) -> str:
    """Return an error with its class, which of a stranger's is half of what it says; our own say all themselves."""
    text = said(error)
    if isinstance(error, MeshnetError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
