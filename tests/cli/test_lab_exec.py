"""``lab exec``: what it makes of a lab's answer."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from meshnet.cli.lab.shell import execute

if TYPE_CHECKING:
    import pytest


def test_a_lab_that_an_earlier_version_started_tells_no_root_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[Any] = []
    descriptors = [os.open(os.devnull, os.O_RDONLY) for _ in range(5)]
    answer = {"environment": {}, "directory": ""}
    monkeypatch.setattr("meshnet.lab.record.find_lab", lambda _: None)
    monkeypatch.setattr("meshnet.lab.enter.enter_box", lambda _: True)
    monkeypatch.setattr("meshnet.lab.control.ask_lab", lambda *_, **__: (answer, descriptors))
    monkeypatch.setattr("meshnet.lab.enter.enter_namespaces", entered.extend)
    monkeypatch.setattr("meshnet.lab.terminal.run_at_terminal", lambda _: 7)

    assert execute(argparse.Namespace(after_dashes=["true"], lab="", name="r1")) == 7

    assert entered == ["net", "uts", "ipc", "pid", "mnt"]
