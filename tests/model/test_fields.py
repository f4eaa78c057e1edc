"""Names in what others wrote, as Kubernetes has them."""

from __future__ import annotations

import pytest

from meshnet.model.fields import Fields

BOTH = ["a", "0", "a-b", "a" * 63]
NEITHER = ["", "-a", "a-", "A", "a_b", "a b", "a\n", "é", "../a", "a" * 254]
NAMES = ["a.b", "a" * 64, "a" * 253]
NO_NAMES = ["a..b", "a.-b", "a-.b", ".a", "a."]


def wrong(text: str) -> tuple[bool, bool]:
    """Whether it is wrong as a name, and as a label."""
    as_name, as_label = Fields({"at": text}, "", []), Fields({"at": text}, "", [])
    as_name.dns_name("at")
    as_label.dns_label("at")
    return bool(as_name.problems), bool(as_label.problems)


@pytest.mark.parametrize("text", BOTH)
def test_a_label_is_a_name(text: str) -> None:
    assert wrong(text) == (False, False)


@pytest.mark.parametrize("text", NAMES)
def test_a_name_may_have_dots_and_be_longer(text: str) -> None:
    assert wrong(text) == (False, True)


@pytest.mark.parametrize("text", NEITHER + NO_NAMES)
def test_what_is_neither_is_told(text: str) -> None:
    assert wrong(text) == (True, True)


def test_a_name_that_is_missing_is_told_unless_there_is_another() -> None:
    fields = Fields({}, "spec", [])

    assert fields.dns_label("hostname", "a.b") == "a.b"
    assert not fields.problems
    fields.dns_name("name")
    assert list(map(str, fields.problems)) == ["spec.name: must be given"]
