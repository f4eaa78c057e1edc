"""What is from outside, as a terminal may show it, and a file hold it."""

from __future__ import annotations


def printable(text: str) -> str:
    """Return a text with everything escaped that is no character to be seen, as `repr` does: it may command a terminal.

    Usual names are left as they are.
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def encodable(text: str) -> str:
    """Return a text as UTF-8 can hold it: with half surrogate pairs, which it has not, escaped as on stdout."""
    return text.encode(errors="backslashreplace").decode()


def _seen(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
