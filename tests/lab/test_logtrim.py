"""Logs lose their beginning, and keep their offsets."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from meshnet.lab import logtrim
from meshnet.lab.logtrim import KEPT, kept, trim, trim_logs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"a" * (3 * KEPT) + b"the end")
    return path


def test_long_log_keeps_its_end(log):
    size = log.stat().st_size
    trim(log)
    assert log.stat().st_size == size
    assert log.stat().st_blocks * 512 <= KEPT + (1 << 16)
    with log.open("rb") as file:
        read = b"".join(kept(file.fileno()))
    assert KEPT <= len(read) <= KEPT + (1 << 16)
    assert read.endswith(b"athe end")
    assert b"\0" not in read


def test_who_reads_a_log_that_loses_its_beginning_meanwhile_goes_on_with_what_is_left(log):
    """As who pages through what `lab logs -f` prints."""
    with log.open("rb") as file:
        reading = kept(file.fileno())
        assert next(reading).strip(b"a") == b""
        trim(log)
        rest = b"".join(reading)
    assert KEPT <= len(rest) <= KEPT + (1 << 16)
    assert rest.endswith(b"athe end")
    assert b"\0" not in rest


def test_what_is_written_later_is_read_later(log):
    with log.open("rb") as file, log.open("ab", buffering=0) as writing:
        assert b"".join(kept(file.fileno())).endswith(b"the end")
        assert list(kept(file.fileno())) == []
        writing.write(b"more")
        assert list(kept(file.fileno())) == [b"more"]


def test_who_reads_a_log_that_grows_meanwhile_comes_to_an_end(log):
    """As of a command that writes faster than anybody reads."""
    with log.open("rb") as file, log.open("ab", buffering=0) as writing:
        for chunk in kept(file.fileno()):
            writing.write(chunk)
            assert file.seek(0, os.SEEK_CUR) <= 4 * KEPT, "it reads on and on"


def test_short_log_is_left_alone(tmp_path):
    path = tmp_path / "x.log"
    path.write_bytes(b"short")
    trim(path)
    assert path.read_bytes() == b"short"


def test_logs_that_somebody_removes_meanwhile_keep_no_other_from_being_trimmed(tmp_path, monkeypatch, log):
    gone = tmp_path / "gone"
    for name in ("a", "b"):
        (gone / name / "deep").mkdir(parents=True)
        (gone / name / "x.log").touch()

    def remove_first(path: Path) -> None:
        shutil.rmtree(gone, ignore_errors=True)
        trim(path)

    monkeypatch.setattr(logtrim, "trim", remove_first)
    other = tmp_path / "other"
    other.mkdir()
    log.rename(other / "x.log")

    trim_logs([gone, other])

    assert (other / "x.log").stat().st_blocks * 512 <= KEPT + (1 << 16)
