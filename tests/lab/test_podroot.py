"""The directories that pods see, as far as files tell."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.lab import podroot, syscalls
from meshnet.lab.podroot import volume_directory, write_volumes
from meshnet.lab.podspec import PodSpec, Volume

if TYPE_CHECKING:
    from pathlib import Path

EMPTY = Volume("empty", None)
CONFIG = Volume("config", {"router.conf": b"hostname one\n"})
POD = PodSpec("default", "r1", "r1", volumes=(EMPTY, CONFIG))


def test_pod_that_is_started_again_has_its_volumes_as_new(monkeypatch, tmp_path):
    """As a pod that is made anew on Kubernetes: what it has left, as a file of a pid, may keep it from starting."""
    monkeypatch.setattr(podroot, "VOLUMES", tmp_path)
    write_volumes(POD)
    empty, config = volume_directory(POD, EMPTY), volume_directory(POD, CONFIG)
    (empty / "directory").mkdir()
    (empty / "directory" / "router.pid").write_text("7\n")
    (config / "router.conf").unlink()
    (config / "router.conf").mkdir()

    write_volumes(POD)

    assert list(empty.iterdir()) == []
    assert (config / "router.conf").read_bytes() == b"hostname one\n"


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
