"""What `meshnet lab up` says at its end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from meshnet.cli.lab.up import print_report
from meshnet.lab.launch import Launched


def told_of(**report: Any) -> None:
    """Have told what is reported of a lab of six link ends."""
    whole = {"pods": [], "silent": [], "links": [], "up": 5, "down": 0, "endpoints": 6, "seconds": 1.5, **report}
    print_report(Launched(SimpleNamespace(name="x"), whole, SimpleNamespace(), SimpleNamespace()), quiet=False)


@pytest.mark.parametrize(
    ("down", "told"), [(0, "5 of 6 link ends up (1.5 s)"), (2, "5 of 6 link ends up, 2 unplugged (1.5 s)")]
)
def test_an_unplugged_link_is_not_counted_as_up(capsys: pytest.CaptureFixture[str], down: int, told: str) -> None:
    told_of(down=down)
    assert capsys.readouterr().out == f"lab x: {told}\n"


@pytest.mark.parametrize(("message", "told"), [("no room", "no room"), ("", "Stopped")])
def test_a_pod_that_does_not_run_is_told_with_its_error_or_its_phase(
    capsys: pytest.CaptureFixture[str], message: str, told: str
) -> None:
    """None has one that somebody has stopped while its lab came up."""
    told_of(pods=[{"namespace": "default", "name": "r1", "node": "n1", "phase": "Stopped", "message": message}])
    assert capsys.readouterr().err == f"pod default/r1 on n1: {told}\n"
