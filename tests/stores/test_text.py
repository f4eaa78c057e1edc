from __future__ import annotations

import datetime
import types
from typing import Any

import pytest

from meshnet.errors import InvalidObject
from meshnet.stores.text import MAX_BYTES, dump, load, plain, same


def test_what_is_written_comes_back() -> None:
    document = {"ü": ["\x00", "\ud800", 2**70, 1.5, None, True, {}]}
    assert load(dump(document, "document")) == document


def test_values_become_jsons_own() -> None:
    assert plain(types.MappingProxyType({"a": (1, 2), 3: "b"}), "document") == {"a": [1, 2], "3": "b"}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"metadata": {"annotations": {"day": datetime.date(2024, 1, 1)}}}, "metadata.annotations.day"),
        ({"spec": [1, {"x": {1, 2}}]}, "spec[1].x"),
        ({"spec": float("inf")}, "spec"),
    ],
)
def test_the_place_of_what_json_cannot_say(value: Any, path: str) -> None:
    with pytest.raises(InvalidObject, match="Topology default/r1") as caught:
        dump(value, "Topology default/r1")
    assert [problem.path for problem in caught.value.problems] == [path]


def test_nesting_without_end() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidObject):
        dump(endless, "document")
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    with pytest.raises(InvalidObject):
        dump(deep, "document")


def test_the_largest_document() -> None:
    assert dump("x" * (MAX_BYTES - 2), "document")
    with pytest.raises(InvalidObject, match="at most 1572864 bytes"):
        dump("x" * (MAX_BYTES - 1), "document")


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [({"a": 1}, {"a": 1}, True), ({"a": 1}, {"a": True}, False), ([0], [False], False), ({"a": 1}, {"a": 2}, False)],
)
def test_documents_are_the_same_by_value_and_type(one: object, other: object, expected: bool) -> None:
    assert same(one, other) is expected
