"""What `meshnet lab up` says at its end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from meshnet.cli.lab.up import print_report
from meshnet.lab.launch import Launched


@pytest.mark.parametrize(
    ("down", "told"), [(0, "5 of 6 link ends up (1.5 s)"), (2, "5 of 6 link ends up, 2 unplugged (1.5 s)")]
)
def test_an_unplugged_link_is_not_counted_as_up(capsys: pytest.CaptureFixture[str], down: int, told: str) -> None:
    report = {"pods": [], "silent": [], "links": [], "up": 5, "down": down, "endpoints": 6, "seconds": 1.5}
    print_report(Launched(SimpleNamespace(name="x"), report, SimpleNamespace(), SimpleNamespace()), quiet=False)
    assert capsys.readouterr().out == f"lab x: {told}\n"
