"""JSON from outside, decoded within bounds and only if it can be written again as JSON."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from meshnet.cni.error import CniError, Code

MAX_DEPTH = 64
"""A network configuration is nested five or six deep; past this it is an attack on a stack."""


def decode_object(text: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `text`; `what` names it in errors.

    Raises:
        CniError: code 6, if it is not UTF-8, not JSON, not an object, nested too deeply, or holds a number that JSON
            cannot carry back (NaN, an exponent beyond a double, an integer of thousands of digits).
    """
    try:
        value = json.loads(text.decode(), parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CniError(Code.DECODING_FAILURE, f"{what} is not a JSON object: {reason}") from None
    if not isinstance(value, dict):
        raise CniError(Code.DECODING_FAILURE, f"{what} is not a JSON object: {kind(value)}")
    if _deeper_than(value, MAX_DEPTH):
        raise CniError(Code.DECODING_FAILURE, f"{what} is nested deeper than {MAX_DEPTH} levels")
    return value


def kind(value: object) -> str:
    """What JSON calls a decoded value, for error messages."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def shown(value: object) -> str:
    """A decoded value as JSON, cut short, for error messages."""
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:40]} is out of range")
    return number


def _deeper_than(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [child for container in level for child in _children(container)]
        if not level:
            return False
    return True


def _children(value: object) -> list[object]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [child for child in children if isinstance(child, dict | list)]
