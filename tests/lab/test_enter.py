from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError, MeshnetError
from meshnet.lab.enter import enter_box, run_forked, working_directory
from meshnet.lab.record import LabRecords

if TYPE_CHECKING:
    from pathlib import Path


def raising(error: Exception) -> int:
    raise error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MeshnetError("lab x: gone"), "error: lab x: gone\n"),
        (MeshnetError("no \udcff"), "error: no \\udcff\n"),
        (ValueError("odd"), "ValueError: odd\n"),
    ],
)
def test_a_child_that_fails_says_why(error: Exception, told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_forked(lambda: raising(error)) == 1
    assert capfd.readouterr().err.endswith(told)


def test_what_was_said_before_is_not_said_again_by_a_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    with said.open("w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        print("before")
        run_forked(lambda: print("inside") or 0)
        print("after")
    assert said.read_text() == "before\ninside\nafter\n"


def test_a_lab_that_has_no_files_of_its_own_yet_is_not_entered(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else a command would act on the machine, and leave a store there."""
    record = LabRecords(tmp_path).create("demo", os.getpid())
    assert run_forked(lambda: int(enter_box(record))) == 1
    assert capfd.readouterr().err == f"error: lab 'demo': it is only starting (pid {os.getpid()}); try again\n"


def test_a_process_more_than_there_may_be_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(KernelError, match="start a process: Resource temporarily unavailable"):
        run_forked(lambda: 0)


def test_a_directory_that_was_deleted_counts_as_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "gone"
    directory.mkdir()
    monkeypatch.chdir(directory)
    assert working_directory() == str(directory)
    directory.rmdir()
    assert working_directory() == "/"
    os.chdir(tmp_path)
