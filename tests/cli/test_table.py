from __future__ import annotations

import io
from typing import TYPE_CHECKING

from meshnet.cli.table import Column, colourful, render

if TYPE_CHECKING:
    import pytest

COLUMNS = (Column("UID", right=True), Column("STATE"), Column("NODE", wide=True), Column("WHY"))
ROWS = [("1", "Up", "n1", ""), ("1000", "Pending", "n2", "PeerMissing")]


def test_columns_are_aligned_and_nothing_is_a_dash() -> None:
    assert render(COLUMNS, ROWS) == " UID  STATE    WHY\n   1  Up       -\n1000  Pending  PeerMissing"


def test_wide_shows_every_column() -> None:
    assert "NODE" not in render(COLUMNS, ROWS)
    assert "NODE" in render(COLUMNS, ROWS, wide=True)


def test_colour_takes_no_place() -> None:
    plain, painted = render(COLUMNS, ROWS), render(COLUMNS, ROWS, colour=True)
    assert "\x1b[32mUp\x1b[0m" in painted
    assert plain == painted.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[32m", "").replace(
        "\x1b[33m", ""
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert colourful(Terminal())
    assert not colourful(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colourful(Terminal())
