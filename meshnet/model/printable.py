"""What is from outside, as a terminal may show it."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text with everything escaped that is no character to be seen, as `repr` does: it may command a terminal.

    Usual names are left as they are.
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def _seen(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
