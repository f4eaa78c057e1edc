"""What an unquoted YAML scalar is to Kubernetes.

kubectl and the API server read YAML 1.1 with some of 1.2: ``on`` and ``y`` are true, ``0777`` is octal, ``1e3`` is a
number; a date and ``12:34:56:12:34:56`` (to YAML 1.1 a number in base 60, to a user a MAC) are strings. PyYAML's own
rules differ in each of these, so the same file would mean something else here than on a cluster.
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{form: True for word in ("y", "yes", "true", "on") for form in (word, word.capitalize(), word.upper())},
    **{form: False for word in ("n", "no", "false", "off") for form in (word, word.capitalize(), word.upper())},
}
_NO_NUMBER_IN_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASES = (
    (10, re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)),
    (8, re.compile(r"[-+]?0[oO]?[0-7]+", re.ASCII)),
    (16, re.compile(r"[-+]?0[xX][0-9a-fA-F]+", re.ASCII)),
    (2, re.compile(r"[-+]?0[bB][01]+", re.ASCII)),
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NUMBER_STARTS = frozenset("0123456789+-.")
_MOST_DIGITS = 64
"""Of an integer: as many as one of 64 bits has in base 2. A longer one is a float, as for Kubernetes."""
_EXACT = 2**53


def plain_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar. Raises ValueError for a number that JSON does not have."""
    if text in _WORDS:
        return _WORDS[text]
    return _number(text) if text[0] in _NUMBER_STARTS else text


def json_number(text: str) -> int | float:
    """Return a decimal number; an integral one is an integer (``1.0`` is 1), as Kubernetes stores it.

    Raises ValueError when it is too large for a float.
    """
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is no number that JSON has")
    return int(number) if number.is_integer() and abs(number) <= _EXACT else number


def _number(text: str) -> Scalar:
    """The number a text is, or the text."""
    if _NO_NUMBER_IN_JSON.fullmatch(text):
        raise ValueError(f"{text} is no number that JSON has")
    # Before the first digit an underscore makes it a word; the caller has looked at the first character.
    digits = text.replace("_", "")
    if len(digits) <= _MOST_DIGITS + 3:
        for base, pattern in _BASES:
            if pattern.fullmatch(digits):
                return _integer(digits, base)
    return json_number(digits) if _FLOAT.fullmatch(digits) else text


def json_integer(digits: str) -> int | float:
    """Return an integer in decimal digits; a float when it has more than 64 bits, as Kubernetes reads it.

    Raises ValueError when it is too large for a float.
    """
    return _integer(digits, 10) if len(digits) <= _MOST_DIGITS else json_number(digits)


def _integer(digits: str, base: int) -> int | float:
    value = int(digits.lower().replace("0o", "0"), base)
    return value if -(2**63) <= value < 2**64 else json_number(str(value))
