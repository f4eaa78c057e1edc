"""A daemon's directories."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from meshnet.daemon.rundir import RunDirectory, make_usable
from meshnet.errors import InvalidObject
from tests.nobody import closed

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_is_made_and_nothing_is_left_in_it(tmp_path: Path) -> None:
    make_usable("MESHNET_STATE_DIR", tmp_path / "a" / "b", 0o700)
    make_usable("MESHNET_STATE_DIR", tmp_path / "a" / "b", 0o700)

    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_nobody_else_may_tell_that_the_daemon_is_alive(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        RunDirectory(tmp_path, lambda: None).touch()
    finally:
        os.umask(umask)

    assert (tmp_path / "alive").stat().st_mode & 0o777 == 0o644


def test_one_that_others_keep_closed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with closed(tmp_path), pytest.raises(InvalidObject) as caught:
        make_usable("MESHNET_STATE_DIR", tmp_path, 0o700)
    assert str(caught.value) == (
        f"settings: MESHNET_STATE_DIR: '{tmp_path}': a directory that it can make files in: Permission denied; "
        "this daemon is not run as root"
    )
