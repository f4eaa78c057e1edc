"""The page on the command line tells what its commands do not print themselves."""

from __future__ import annotations

from meshnet.cli import exitcodes
from meshnet.lab.placement import MOST_NODES
from tests.docs.pages import ROOT, rows

PAGE = ROOT / "docs" / "cli.md"


def test_the_exit_codes() -> None:
    codes = {value for name, value in vars(exitcodes).items() if name.isupper() and isinstance(value, int)}

    assert {int(cells[0]) for cells in rows(PAGE, "code", "meaning")} == codes


def test_how_many_nodes_a_lab_may_have() -> None:
    assert PAGE.read_text().count(f"--nodes N             1 to {MOST_NODES} nodes: ") == 2
