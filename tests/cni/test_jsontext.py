import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.cni.error import CniError
from meshnet.cni.jsontext import MAX_DEPTH, decode_object, shown


def nested(depth):
    return b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)


def test_nesting_is_bounded():
    decode_object(nested(MAX_DEPTH), "it")
    for depth in (MAX_DEPTH + 1, 900, 100_000):
        with pytest.raises(CniError, match="nested") as caught:
            decode_object(nested(depth), "it")
        assert caught.value.code == 6


def test_nesting_of_arrays_counts_too():
    with pytest.raises(CniError, match="nested"):
        decode_object(b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "it")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 5000])
def test_numbers_that_json_cannot_carry_back(number):
    with pytest.raises(CniError, match="it is not a JSON object") as caught:
        decode_object(f'{{"a": {number}}}'.encode(), "it")
    assert caught.value.code == 6


@given(st.binary(max_size=100))
def test_what_is_decoded_can_be_written_again(text):
    for candidate in (text, b'{"a": ' + text + b"}"):
        try:
            value = decode_object(candidate, "it")
        except CniError:
            continue
        assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_long_values_are_cut_in_messages():
    assert len(shown("x" * 1000)) == 80
