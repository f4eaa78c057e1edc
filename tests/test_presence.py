"""Whether a path is there, or cannot be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.presence import exists, is_directory, is_file
from tests.nobody import closed

if TYPE_CHECKING:
    from pathlib import Path

ASKED = [exists, is_file, is_directory]


def told(path: Path) -> list[bool]:
    return [asked(path) for asked in ASKED]


def test_what_is_there_is_told(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(file)

    assert told(file) == told(link) == [True, True, False]
    assert told(tmp_path) == [True, False, True]


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(tmp_path / "nothing")

    assert told(tmp_path / "nothing") == told(file / "below") == told(link) == [False, False, False]


@pytest.mark.parametrize("asked", ASKED)
def test_what_cannot_be_told_is_an_error(tmp_path: Path, asked: object) -> None:
    """Python 3.14's own tell that nothing is there."""
    directory, loop = tmp_path / "closed", tmp_path / "loop"
    directory.mkdir()
    loop.symlink_to(loop)

    with closed(directory), pytest.raises(PermissionError):
        asked(directory / "file")
    with pytest.raises(OSError, match="symbolic links"):
        asked(loop)
