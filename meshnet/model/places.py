"""Where each value of a document stands in its text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

_INDEX = re.compile(r"\[(\d+)\]")


@attrs.frozen
class Place:
    """A map or list in a text, with the lines of what is in it.

    Attributes:
        line: where it begins, from 1.
        children: by key or index: the place of a map or list, the line of anything else.
    """

    line: int
    children: Mapping[str, Place | int] | Sequence[Place | int] = attrs.field(repr=False)


def find_line(place: Place, path: str) -> int:
    """Return the line of a path such as ``spec.links[2].mtu``; of its nearest parent where the path ends in nothing."""
    here: Place | int = place
    line = place.line
    while path and isinstance(here, Place):
        step = _step(here, path.removeprefix("."))
        if step is None:
            break
        here, path = step
        line = here if isinstance(here, int) else here.line
    return line


def child(place: Place, *steps: str | int) -> Place | int:
    """The place, or the line, of what keys and indexes lead to."""
    here: Any = place
    for step in steps:
        here = here.children[step]
    return cast("Place | int", here)


def _step(place: Place, path: str) -> tuple[Place | int, str] | None:
    """The child that the path leads to, and the rest of the path."""
    if isinstance(place.children, Mapping):
        # Keys may contain dots and brackets (annotations do): the longest that fits is meant.
        fitting = [key for key in place.children if key and _begins(path, key)]
        if not fitting:
            return None
        key = max(fitting, key=len)
        return place.children[key], path[len(key) :]
    found = _INDEX.match(path)
    if found is None or len(found[1]) > 9 or int(found[1]) >= len(place.children):
        return None
    return place.children[int(found[1])], path[found.end() :]


def _begins(path: str, key: str) -> bool:
    return path.startswith(key) and path[len(key) :][:1] in {"", ".", "["}
