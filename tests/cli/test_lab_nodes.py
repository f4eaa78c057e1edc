"""``lab node``: what is wrong use, before any lab is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.cli import exitcodes

if TYPE_CHECKING:
    from tests.cli.conftest import Machine


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("n1", "rejoin", "--direction", "in"), "only isolate takes it"),
        (("n1", "isolate", "--direction", "up"), "'both'"),
        (("n1", "explode"), "'explode'"),
    ],
)
def test_wrong_use(machine: Machine, words: tuple[str, ...], told: str) -> None:
    ran = machine.run("lab", "node", *words)

    assert (ran.code, told in ran.err) == (exitcodes.WRONG_USE, True), ran.err
