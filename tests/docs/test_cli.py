"""The page on the command line tells what its commands do not print themselves."""

from __future__ import annotations

from meshnet.cli import exitcodes
from tests.docs.pages import ROOT, rows

PAGE = ROOT / "docs" / "cli.md"


def test_the_exit_codes() -> None:
    codes = {value for name, value in vars(exitcodes).items() if name.isupper() and isinstance(value, int)}

    assert {int(cells[0]) for cells in rows(PAGE, "code", "meaning")} == codes
