"""Which Go builds the cluster's programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine.errors import CannotHereError, ClusterError
from tests.cluster.machine.toolchain import FETCHED, find_go

if TYPE_CHECKING:
    from pathlib import Path

GO = """#!/bin/sh
case "$*" in
"env GOVERSION") echo {version} ;;
"mod download -json golang.org/toolchain@v0.0.1-{fetched}.linux-"*) {fetch} ;;
*) exit 2 ;;
esac
"""


def install(directory: Path, version: str, fetch: str = "exit 3") -> str:
    """Install a Go and return its PATH."""
    directory.mkdir(parents=True, exist_ok=True)
    go = directory / "go"
    go.write_text(GO.format(version=version, fetched=FETCHED, fetch=fetch))
    go.chmod(0o755)
    return str(directory)


@pytest.mark.parametrize("version", ["go1.26.0", "go1.27rc1", "go2.0"])
def test_one_that_is_new_enough_is_taken_as_it_is(tmp_path: Path, version: str) -> None:
    go = find_go(install(tmp_path, version))
    assert (go.program, go.version) == (str(tmp_path / "go"), version)
    assert (go.environment["GOTOOLCHAIN"], go.environment["CGO_ENABLED"]) == ("local", "0")


@pytest.mark.parametrize("version", ["go1.19.8", "go1.25.9"])
def test_one_that_is_too_old_fetches_another_and_makes_it_executable(tmp_path: Path, version: str) -> None:
    home = tmp_path / "fetched"
    install(home / "bin", FETCHED)
    tool = home / "pkg/tool/linux/compile"
    tool.parent.mkdir(parents=True)
    tool.touch()
    (home / "bin/go").chmod(0o444)
    answer = json.dumps({"Path": "golang.org/toolchain", "Dir": str(home)})
    go = find_go(install(tmp_path / "old", version, fetch=f"echo '{answer}'"))
    assert (go.program, go.version) == (str(home / "bin/go"), FETCHED)
    assert tool.stat().st_mode & 0o111 == 0o111


def test_one_that_is_too_old_and_cannot_fetch_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no such host"):
        find_go(install(tmp_path, "go1.19.8", fetch="echo no such host >&2; exit 1"))


def test_none_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(CannotHereError, match="install golang-go"):
        find_go(str(tmp_path))
