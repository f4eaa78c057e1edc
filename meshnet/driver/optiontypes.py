"""Whether options can be of the types that a driver declares: found out when it is loaded, not by its first user."""

from __future__ import annotations

import types
import typing
from typing import TYPE_CHECKING, Any, Literal

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RIGHT = "bool, int, float, str, an enumeration, an attrs class, or a list or mapping of those; also with None"


def undecodable(cls: type, known: Callable[[Any], bool]) -> str | None:
    """Return the path of the first field that no value can be decoded for, with its type; None when there is none.

    `known` tells whether a type, which is no attrs class, can be decoded itself, whatever of what it is made of.
    Raises whatever a stranger's annotations make of being looked at.
    """
    return next(_undecodable(cls, known, "", set()), None)


def _undecodable(cls: type, known: Callable[[Any], bool], path: str, seen: set[type]) -> Iterator[str]:
    seen.add(cls)
    hints = typing.get_type_hints(cls)
    for field in attrs.fields(cls):
        hint = hints.get(field.name, field.type)  # of a class that was made without annotations
        if field.init and hint is not None:
            for part in _parts(hint):
                if isinstance(part, type) and attrs.has(part):
                    if part not in seen:
                        yield from _undecodable(part, known, f"{path}{field.name}.", seen)
                elif not known(part):
                    yield f"{path}{field.name} of type {part!r}"


def _parts(hint: Any) -> Iterator[Any]:
    """Yield a type and all that it is made of: ``list[int | None]``, ``int | None``, ``int``."""
    if hint in (Any, Ellipsis, types.NoneType):
        return
    yield hint
    if typing.get_origin(hint) is not Literal:
        for part in typing.get_args(hint):
            yield from _parts(part)
