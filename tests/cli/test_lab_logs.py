from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from meshnet.cli.main import main
from meshnet.lab.record import LabRecords

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def followed(monkeypatch: pytest.MonkeyPatch, last: str, *logs: Path) -> list[bytes]:
    """Return what ``lab logs -f`` shows of a lab that does `last` and ends, once something was shown."""
    shown: list[bytes] = []
    with subprocess.Popen(["sh", "-c", f"read _; {last}"], stdin=subprocess.PIPE) as lab:

        def show(chunk: bytes) -> None:
            shown.append(chunk)
            assert lab.stdin is not None
            lab.stdin.close()  # now it ends

        LabRecords.of_this_user().create("demo", lab.pid)
        monkeypatch.setattr("meshnet.lab.enter.enter_box", lambda _: True)
        monkeypatch.setattr("meshnet.lab.control.ask_lab", lambda *_, **__: ({"paths": list(map(str, logs))}, []))
        monkeypatch.setattr("meshnet.cli.lab.shell._write", show)
        assert main(["lab", "logs", "-f", "r1"]) == 0
    return shown


def test_who_follows_a_log_reads_what_came_until_its_lab_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "main.log"
    log.write_text("begun\n")

    shown = followed(monkeypatch, f"sleep 0.1; echo last words >>{log}", log)

    assert shown == [b"begun\n", b"last words\n"]


def test_who_follows_the_log_of_a_command_that_starts_later_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a pod that is not attached yet, or failed, and is started then."""
    first, second = tmp_path / "first.log", tmp_path / "second.log"
    first.write_text("first\n")

    shown = followed(monkeypatch, f"echo second >{second}", first, second)

    assert shown == [b"first\n", b"second\n"]


def test_a_lab_that_ends_as_it_is_found_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(["true"]) as lab:
        record = LabRecords.of_this_user().create("demo", lab.pid)
    monkeypatch.setattr("meshnet.lab.record.find_lab", lambda _: record)

    assert main(["lab", "logs", "r1"]) == 3

    assert capsys.readouterr().err == "error: lab demo: it has ended\n"
