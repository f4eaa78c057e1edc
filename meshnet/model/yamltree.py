"""From the events of a YAML text to values and their places, without recursion and within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.model.places import Place, child
from meshnet.model.scalars import plain_scalar

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DEPTH = 100
"""Levels of maps and lists; whatever walks a document recursively stays far from Python's limit."""
MAX_VALUES = 1_000_000
"""Values of one document, each counted as often as it is referred to: a few lines of YAML can mean billions."""
CHARACTERS_A_VALUE = 64
"""So many more of a text count as one more value: a megabyte can be referred to as well."""

_TAG = "tag:yaml.org,2002:"
_NO_KEY: Any = object()
_MERGE: Any = object()
_SCALAR_TAGS: dict[str, type | tuple[type, ...]] = {
    f"{_TAG}int": int,
    f"{_TAG}float": (int, float),
    f"{_TAG}bool": bool,
    f"{_TAG}null": type(None),
}
_STRING_TAGS = frozenset({"!", f"{_TAG}str", f"{_TAG}timestamp"})


class TreeError(Exception):
    """What is wrong in a text, and where (line and column, from 1)."""

    def __init__(self, event: Any, what: str) -> None:
        self.line = event.start_mark.line + 1
        self.column = event.start_mark.column + 1
        self.what = what
        super().__init__(what)


@attrs.frozen
class Tree:
    """A value with its place; where it is no map or list, with its line."""

    value: Any
    place: Place | int
    size: int = 1
    height: int = 0


@attrs.define
class _Open:
    """A map or list that is being read."""

    value: Any
    children: Any
    line: int
    anchor: str | None
    key: Any = _NO_KEY
    key_line: int = 0
    merge: list[Tree] = attrs.field(factory=list)
    size: int = 1
    height: int = 1

    @property
    def is_map(self) -> bool:
        return isinstance(self.value, dict)


class TreeBuilder:
    """Takes the events of a text one by one, and gives each document when it is complete."""

    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._anchors: dict[str, Tree | None] = {}
        self._root: Tree | None = None
        self._handlers: dict[str, Callable[[Any], None]] = {
            "ScalarEvent": self._scalar,
            "AliasEvent": self._alias,
            "MappingStartEvent": self._start,
            "SequenceStartEvent": self._start,
            "MappingEndEvent": self._end,
            "SequenceEndEvent": self._end,
        }

    def feed(self, event: Any) -> Tree | None:
        """Take the next event; return the document that it ends, if it ends one. Raises TreeError."""
        name = type(event).__name__
        handler = self._handlers.get(name)
        if handler is not None:
            handler(event)
        elif name == "DocumentEndEvent":
            root, self._root = self._root, None
            self._anchors.clear()
            return root
        return None

    def _scalar(self, event: Any) -> None:
        if event.anchor is None and self._open and self._open[-1].is_map and self._open[-1].key is _NO_KEY:
            self._set_key(event)
            return
        tree = Tree(_value(event), event.start_mark.line + 1, 1 + len(event.value) // CHARACTERS_A_VALUE)
        if event.anchor is not None:
            self._anchors[event.anchor] = tree
        self._add(event, tree)

    def _set_key(self, event: Any) -> None:
        top = self._open[-1]
        key = _key(event)
        if key in top.value:
            raise TreeError(event, f"the key {key!r} stands here twice, first in line {_line(top.children[key])}")
        top.key, top.key_line = key, event.start_mark.line + 1
        top.size += len(event.value) // CHARACTERS_A_VALUE

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise TreeError(event, f"nothing before has the anchor &{event.anchor}")
        tree = self._anchors[event.anchor]
        if tree is None:
            raise TreeError(event, f"*{event.anchor} stands inside of what it means")
        if len(self._open) + tree.height > MAX_DEPTH:
            raise TreeError(event, f"must not be nested deeper than {MAX_DEPTH} levels")
        self._add(event, tree)

    def _start(self, event: Any) -> None:
        if event.tag not in {None, "!", f"{_TAG}map", f"{_TAG}seq"}:
            raise TreeError(event, f"the tag {event.tag} means nothing in Kubernetes")
        if len(self._open) >= MAX_DEPTH:
            raise TreeError(event, f"must not be nested deeper than {MAX_DEPTH} levels")
        is_map = type(event).__name__ == "MappingStartEvent"
        if self._open and self._open[-1].is_map and self._open[-1].key is _NO_KEY:
            template = "; is it a template, to be rendered first?" if is_map and event.flow_style else ""  # {{ name }}
            raise TreeError(event, f"a key must be a scalar{template}")
        line = event.start_mark.line + 1
        self._open.append(_Open({} if is_map else [], {} if is_map else [], line, event.anchor))
        if event.anchor is not None:
            self._anchors[event.anchor] = None

    def _end(self, event: Any) -> None:
        top = self._open.pop()
        for tree in top.merge:
            _merge(event, top, tree)
        tree = Tree(top.value, Place(top.line, top.children), top.size, top.height)
        if top.anchor is not None:
            self._anchors[top.anchor] = tree
        self._add(event, tree)

    def _add(self, event: Any, tree: Tree) -> None:
        """Put a value where it belongs: into the open map or list, or as the document's root."""
        if not self._open:
            self._root = tree
            return
        top = self._open[-1]
        top.size += tree.size
        top.height = max(top.height, tree.height + 1)
        if top.size > MAX_VALUES:
            raise TreeError(event, f"must not have more than {MAX_VALUES} values, references counted")
        if not top.is_map:
            top.value.append(tree.value)
            top.children.append(tree.place)
        elif top.key is _NO_KEY:
            raise TreeError(event, "a key must be a scalar without anchor or reference")
        elif top.key is _MERGE:
            top.merge.append(tree)
            top.key = _NO_KEY
        else:
            top.value[top.key] = tree.value
            top.children[top.key] = _at(tree.place, top.key_line)
            top.key = _NO_KEY


def _at(place: Place | int, line: int) -> Place | int:
    """The place of what a key has: the key's own line, where an editor shall go."""
    return attrs.evolve(place, line=line) if isinstance(place, Place) else line


def _line(place: Place | int) -> int:
    return place.line if isinstance(place, Place) else place


def _merge(event: Any, top: _Open, tree: Tree) -> None:
    """Take over what a merge key brings and the map has not got itself; the first of several maps wins."""
    maps, places = [tree.value], [tree.place]
    if isinstance(tree.value, list) and isinstance(tree.place, Place):
        maps, places = tree.value, [child(tree.place, index) for index in range(len(tree.value))]
    for source, place in zip(maps, places, strict=True):
        if not isinstance(source, dict) or not isinstance(place, Place):
            raise TreeError(event, "a merge key '<<' must have a map or a list of maps")
        for key, value in source.items():
            if key not in top.value:
                top.value[key] = value
                top.children[key] = place.children[key]


def _value(event: Any) -> Any:
    try:
        if event.tag is None:
            return plain_scalar(event.value) if event.implicit[0] else event.value
        if event.tag in _STRING_TAGS:
            return event.value
        value = plain_scalar(event.value)
    except ValueError as error:
        raise TreeError(event, str(error)) from None
    wanted = _SCALAR_TAGS.get(event.tag)
    if wanted is None or not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise TreeError(event, f"the tag {event.tag} does not fit {event.value[:40]!r}")
    return value


def _key(event: Any) -> Any:
    """A key of a map: a string, as JSON has it (``80`` and ``true`` made into one), or _MERGE."""
    if event.tag is None and event.implicit[0] and event.value == "<<":
        return _MERGE
    value = _value(event)
    if value is None:
        raise TreeError(event, "a key must not be null")
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
