"""Logs lose their beginning, and keep their offsets."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from meshnet.lab import logtrim
from meshnet.lab.logtrim import KEPT, first_kept, trim, trim_logs

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
    fd = os.open(log, os.O_RDONLY)
    try:
        start = first_kept(fd)
        os.lseek(fd, start, os.SEEK_SET)
        kept = os.read(fd, size)
    finally:
        os.close(fd)
    assert KEPT <= len(kept) <= KEPT + (1 << 16)
    assert kept.endswith(b"athe end")
    assert b"\0" not in kept


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
