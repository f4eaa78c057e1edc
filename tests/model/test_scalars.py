import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.model.scalars import json_number, plain_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("Null", None),
        ("nUll", "nUll"),
        ("true", True),
        ("y", True),
        ("Yes", True),
        ("ON", True),
        ("oN", "oN"),
        ("n", False),
        ("off", False),
        ("no", False),
        ("norway", "norway"),
        ("0", 0),
        ("-7", -7),
        ("+7", 7),
        ("1_000", 1000),
        ("0777", 511),
        ("0o17", 15),
        ("-0o17", -15),
        ("0x1F", 31),
        ("0b101", 5),
        ("08", 8),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615", 2**64 - 1),
        ("1.0", 1),
        ("1e3", 1000),
        ("1.", 1),
        (".5", 0.5),
        ("-1.5e-3", -0.0015),
        (".", "."),
        ("-", "-"),
        ("+", "+"),
        ("...", "..."),
        ("1.2.3", "1.2.3"),
        ("0x", "0x"),
        ("0xg", "0xg"),
        ("0b2", "0b2"),
        ("_1", "_1"),
        ("1e", "1e"),
        ("10.0.0.1/24", "10.0.0.1/24"),
        ("12:34:56:12:34:56", "12:34:56:12:34:56"),
        ("1:30", "1:30"),
        ("2001-12-14", "2001-12-14"),
        ("2001-12-14T21:59:43Z", "2001-12-14T21:59:43Z"),
        ("=", "="),
        ("<<", "<<"),
        ("٣", "٣"),
    ],
)
def test_a_plain_scalar_is_what_it_is_to_kubernetes(text, value):
    result = plain_scalar(text)

    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", [".inf", "-.INF", "+.Inf", ".nan", ".NaN", "1e999", "9" * 5000])
def test_a_number_that_json_has_not_is_an_error(text):
    with pytest.raises(ValueError, match="no number that JSON has"):
        plain_scalar(text)


def test_an_integer_beyond_64_bits_is_a_float():
    assert plain_scalar("18446744073709551616") == 2.0**64
    assert type(plain_scalar("18446744073709551616")) is float
    assert type(plain_scalar("0x" + "f" * 40)) is float


@given(st.integers(-(2**63), 2**64 - 1))
def test_integers_keep_their_value(number):
    assert plain_scalar(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_keep_their_value(number):
    assert json_number(repr(number)) == number
    assert plain_scalar(repr(number)) == number


@given(st.text())
def test_any_text_is_itself_or_another_plain_value(text):
    try:
        value = plain_scalar(text)
    except ValueError:
        return
    assert value is None or isinstance(value, (str, bool, int)) or math.isfinite(value)
    if isinstance(value, str):
        assert value == text
