"""Which Go builds the cluster's programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine.errors import CannotHereError
from tests.cluster.machine.toolchain import FETCHED, find_go

if TYPE_CHECKING:
    from pathlib import Path


def install(directory: Path, version: str) -> str:
    """Install a Go that, like a real one, becomes another where GOTOOLCHAIN names that; return its PATH."""
    go = directory / "go"
    go.write_text(f'#!/bin/sh\ntest "$*" = "env GOVERSION" && echo "${{GOTOOLCHAIN:-{version}}}"\n')
    go.chmod(0o755)
    return str(directory)


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOTOOLCHAIN", raising=False)


@pytest.mark.parametrize("version", ["go1.26.0", "go1.27rc1", "go2.0"])
def test_one_that_is_new_enough_is_taken_as_it_is(tmp_path: Path, version: str) -> None:
    go = find_go(install(tmp_path, version))
    assert (go.program, go.version) == (str(tmp_path / "go"), version)
    assert "GOTOOLCHAIN" not in go.environment
    assert go.environment["CGO_ENABLED"] == "0"


@pytest.mark.parametrize("version", ["go1.21.1", "go1.25.9"])
def test_one_that_can_fetch_another_does_so(tmp_path: Path, version: str) -> None:
    go = find_go(install(tmp_path, version))
    assert go.version == FETCHED
    assert go.environment["GOTOOLCHAIN"] == FETCHED


@pytest.mark.parametrize("version", ["go1.19.8", "devel"])
def test_one_that_is_too_old_is_a_reason(tmp_path: Path, version: str) -> None:
    with pytest.raises(CannotHereError, match=rf"go is {version}: Go 1\.26 is needed, or 1\.21, which fetches that"):
        find_go(install(tmp_path, version))


def test_none_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(CannotHereError, match="install golang-go"):
        find_go(str(tmp_path))
