"""The directories that pods see, as far as files tell."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.lab import podroot, syscalls

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def vanishing(monkeypatch, tmp_path):
    """A directory in which each entry goes when it is about to be bound."""

    def bind(source: Path, target: Path) -> None:
        raise KernelError(errno.ENOENT, f"mount {source} at {target}")

    monkeypatch.setattr(syscalls, "bind", bind)
    directory = tmp_path / "there"
    directory.mkdir()
    (directory / "file").touch()
    (directory / "directory").mkdir()
    return directory


def test_what_others_take_away_while_it_is_covered_is_not_there(vanishing, tmp_path):
    """As in a machine's /tmp."""
    cover = tmp_path / "cover"
    cover.mkdir()

    podroot._bind_all(vanishing.iterdir(), cover)

    assert list(cover.iterdir()) == []


def test_what_cannot_be_bound_is_an_error(vanishing, monkeypatch, tmp_path):
    def bind(source: Path, target: Path) -> None:
        raise KernelError(errno.EACCES, f"mount {source} at {target}")

    monkeypatch.setattr(syscalls, "bind", bind)
    cover = tmp_path / "cover"
    cover.mkdir()

    with pytest.raises(KernelError, match="EACCES"):
        podroot._bind_all(vanishing.iterdir(), cover)
