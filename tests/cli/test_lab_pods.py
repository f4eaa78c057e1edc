"""``lab pods``: which of a lab's pods are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.main import main

if TYPE_CHECKING:
    import pytest


def test_a_pod_with_an_empty_name_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a variable is that is not set."""
    monkeypatch.setattr("meshnet.lab.control.ask_running", lambda *_: {"name": "demo", "pods": []})

    assert main(["lab", "pods", ""]) == 1

    assert capsys.readouterr() == ("", "error: pod '': not in lab demo\n")
