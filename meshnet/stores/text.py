"""Documents as JSON text: what a store keeps, and what it refuses to keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from meshnet.errors import InvalidObject, Problem
from meshnet.model.objectsize import MAX_OBJECT_BYTES

MAX_BYTES = MAX_OBJECT_BYTES
"""Largest document; that of a cluster, so that what fits here fits into Kubernetes."""


def dump(document: object, what: str) -> str:
    """Return `document` as JSON; `what` names it in errors.

    Raises InvalidObject for what JSON has no word for, which YAML does: dates, binary, infinity.
    """
    try:
        text = _ENCODER.encode(document)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidObject(what, [_first_problem(document, "") or Problem("", "…", str(error))]) from None
    if len(text) > MAX_BYTES:
        raise InvalidObject(what, [Problem("size", len(text), f"at most {MAX_BYTES} bytes of JSON")])
    return text


def load(text: str) -> dict[str, Any]:
    """Return the document of a text that `dump` made."""
    return cast("dict[str, Any]", json.loads(text))


def plain(value: object, what: str) -> Any:
    """Return `value` in JSON's own types (tuples as lists, keys as strings), sharing nothing with it.

    Raises InvalidObject as `dump` does.
    """
    return json.loads(dump(value, what))


def same(one: object, other: object) -> bool:
    """Whether two JSON values are the same; unlike Python, JSON tells ``true`` from ``1``."""
    if one is other:
        return True
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _plain(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(type(value).__name__)


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain)


def _first_problem(value: object, path: str) -> Problem | None:
    """Where the first value stands that JSON has no word for; None when it is merely nested too deeply."""
    try:
        if isinstance(value, Mapping):
            parts = ((f"{path}.{name}".lstrip("."), part) for name, part in value.items())
        elif isinstance(value, (list, tuple)):
            parts = ((f"{path}[{index}]", part) for index, part in enumerate(value))
        else:
            json.dumps(value, allow_nan=False)
            return None
        return next((found for where, part in parts if (found := _first_problem(part, where))), None)
    except RecursionError:
        return None
    except (TypeError, ValueError):
        return Problem(path, value, "a JSON value: text, a number, true, false, null, a list or an object")
