from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from meshnet.cli.targets.lab import Lab
from meshnet.errors import DaemonUnreachable
from meshnet.lab.record import LabRecords

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Machine


@pytest.mark.parametrize(("words", "said"), [((), "not reached: lab: it has ended\n"), (("--quiet",), "")])
def test_a_supervisor_that_is_not_reached_is_a_remark(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    def away(_verb: str) -> None:
        raise DaemonUnreachable("lab: it has ended")

    LabRecords.of_this_user().create("demo", os.getpid())
    monkeypatch.setattr("meshnet.cli.targets.lab.RUN", tmp_path)
    monkeypatch.setattr("meshnet.cli.targets.lab.enter_box", lambda _: True)
    monkeypatch.setattr("meshnet.lab.control.ask_lab", away)
    monkeypatch.setattr(Lab, "store_url", machine.store_url)

    ran = machine.run("get", "nodes", "--lab", "demo", "-o", "json", *words)

    assert (ran.code, ran.out, ran.err) == (0, "[]\n", said)
