from __future__ import annotations

import pytest

from meshnet.model.printable import printable


@pytest.mark.parametrize("text", ["", "r1", "Topology default/r1", "é 日本 \\ 'x'"])
def test_usual_names_are_as_they_are(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]0;x\a\\", "a\\x1b]0;x\\x07\\"),
        ("a\nb\t", "a\\nb\\t"),
        ("\u202e\x9b", "\\u202e\\x9b"),
        ("\udce4", "\\udce4"),
    ],
)
def test_what_may_command_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
