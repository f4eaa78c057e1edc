from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given

from meshnet.stores.depth import CUT, MOST_LEVELS, decode
from tests.model import strategies


def nested(levels: int, inner: str = "1") -> str:
    return '{"a": ' * levels + inner + "}" * levels


def depth(value: Any) -> int:
    levels = 0
    while isinstance(value, dict):
        levels, value = levels + 1, value["a"]
    return levels


@given(strategies.json_values())
def test_what_is_not_deep_is_what_json_says(value: Any) -> None:
    text = json.dumps(value)
    assert decode(text) == decode(text.encode()) == json.loads(text)


@pytest.mark.parametrize("levels", [1, MOST_LEVELS, MOST_LEVELS + 1, 500, 975, 1500, 10_000])
@pytest.mark.parametrize("form", ["{}", '{{"b": "]}}\\"{{", "a": {}, "c": [1]}}', "[{}, 2]"])
def test_what_is_deep_is_cut(levels: int, form: str) -> None:
    value = decode(form.format(nested(levels)))
    around = value[0] if isinstance(value, list) else value
    assert depth(around) <= MOST_LEVELS
    assert (CUT in json.dumps(value)) == (depth(json.loads(nested(min(levels, 900)))) + (form != "{}") > MOST_LEVELS)
    if form.startswith("["):
        assert value[1] == 2
    elif form != "{}":
        assert (value["b"], value["c"]) == (']}"{', [1])


def test_what_is_beside_stays() -> None:
    value = decode('{"items": [' + nested(2000) + ', {"name": "r1"}, [' + "[" * 2000 + "]" * 2000 + "]]}")
    assert value["items"][1] == {"name": "r1"}


@pytest.mark.parametrize("text", ["a", r"\n", r"\""])
def test_a_long_text_beside_costs_no_more_than_itself(text: str) -> None:
    data = json.dumps({"a": json.loads(f'"{text}"') * 500_000})[:-1] + ', "b": ' + nested(2000) + "}"
    tracemalloc.start()
    decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(data)


@pytest.mark.parametrize("text", ["", "{", "[" * 2000, '{"a": ' * 2000, nested(1500) + "]", b"\xff"])
def test_what_is_no_json_is_said_to_be_none(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        decode(text)


def test_within_what_is_cut_nobody_looks() -> None:
    assert CUT in json.dumps(decode(nested(100_000, "x")))
