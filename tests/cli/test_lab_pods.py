"""``lab pods``: which of a lab's pods are shown, and what doctor says of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cli.checks.finding import Outcome
from meshnet.cli.checks.pods import check_pods
from meshnet.cli.main import main
from tests.lab.conftest import new_lab

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 30


def test_a_pod_with_an_empty_name_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a variable is that is not set."""
    monkeypatch.setattr("meshnet.lab.control.ask_running", lambda *_: {"name": "demo", "pods": []})

    assert main(["lab", "pods", ""]) == 1

    assert capsys.readouterr() == ("", "error: pod '': not in lab demo\n")


def pod(phase: str, *commands: dict[str, Any], message: str = "") -> dict[str, Any]:
    every = [{"name": "main", "pid": None, "code": None, "error": "", **command} for command in commands]
    return {"namespace": "default", "name": "r1", "phase": phase, "message": message, "commands": every}


def test_pods_that_are_as_they_are_asked_for_are_not_told() -> None:
    well = pod("Running", {"pid": 7, "code": 1}, {"code": 0}, {})
    assert check_pods([well, pod("Running"), pod("Stopped", {"code": 143})]) == []


def test_a_pod_that_failed_and_a_command_that_did_are_told() -> None:
    (failed,) = check_pods([pod("Failed", message="no daemon")])
    (ended,) = check_pods([pod("Running", {"code": 127})])
    (wrong,) = check_pods([pod("Running", {"error": "no such directory"})])
    assert (failed.outcome, failed.told) == (Outcome.FAIL, "Failed: no daemon")
    assert (ended.outcome, ended.told) == (Outcome.WARN, "its command main: ended with exit code 127")
    assert (wrong.outcome, wrong.told) == (Outcome.WARN, "its command main: no such directory")


@pytest.mark.lab
def test_doctor_tells_of_a_program_that_this_machine_has_not(tmp_path: Path) -> None:
    container = {"name": "router", "image": "any", "command": ["no-such-router"]}
    file = tmp_path / "r1.json"
    metadata = {"name": "r1"}
    file.write_text(
        json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}})
    )
    lab = new_lab()
    try:
        lab.ok("lab", "up", str(file))
        until, told = time.monotonic() + LIMIT_S, []
        while not told:  # it may just be tried again
            assert time.monotonic() < until, "waited for doctor to tell of the command"
            findings = json.loads(lab.run("doctor", "-o", "json").stdout)
            told = [finding["told"] for finding in findings if finding["area"] == "pods"]
    finally:
        lab.run("lab", "down", lab.name)
    assert told == ["its command router: ended with exit code 127"]
