"""JSON texts that are no YAML."""

from __future__ import annotations

import json
from typing import Any

from meshnet.model.places import Place
from meshnet.model.scalars import json_integer, json_number
from meshnet.model.yamltree import Tree


def read_json(text: str, max_depth: int) -> list[Tree] | None:
    """Return the values of a text of one or several JSON values, each at the line where it begins.

    None when it is no JSON, has a key twice, a number that JSON has not, or more than `max_depth` levels.
    """
    decoder = json.JSONDecoder(
        object_pairs_hook=_unique, parse_float=json_number, parse_int=json_integer, parse_constant=json_number
    )
    trees = []
    position = _skip(text, 0)
    counted, line = 0, 1  # each part of the text once: there may be as many values as lines
    while position < len(text):
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            return None
        if _depth(value) > max_depth:
            return None
        counted, line = position, line + text.count("\n", counted, position)
        trees.append(Tree(value, _flat(value, line)))
        position = _skip(text, end)
    return trees


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _depth(value: Any) -> int:
    """Levels of maps and lists, counted level by level."""
    depth, level = 0, [value]
    while containers := [inner for inner in level if isinstance(inner, (dict, list))]:
        depth += 1
        level = [leaf for inner in containers for leaf in (inner.values() if isinstance(inner, dict) else inner)]
    return depth


def _flat(value: Any, line: int) -> Place | int:
    """A place that knows one line for all; the items of a list of objects have it too."""
    if isinstance(value, list):
        return Place(line, [_flat(item, line) for item in value])
    if isinstance(value, dict):
        items = value.get("items")
        return Place(line, {"items": _flat(items, line)} if isinstance(items, list) else {})
    return line
