"""Logs lose their beginning, and keep their offsets."""

from __future__ import annotations

import os

import pytest

from meshnet.lab.logtrim import KEPT, first_kept, trim


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
