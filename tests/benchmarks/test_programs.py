"""Programs in Go: built once, and never in a benchmark's namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.programs import built_with_go

if TYPE_CHECKING:
    from pathlib import Path

GO = """#!/bin/sh
echo built >> {log}
[ -z "{fail}" ] || {{ echo no such module >&2; exit 1; }}
echo program > "$4"
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    directory = tmp_path / "rival"
    directory.mkdir()
    for name in ("main.go", "go.mod", "go.sum"):
        (directory / name).write_text(name)
    return directory


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the Go toolchain on the PATH was asked; it has none other."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "log"


def install_go(log: Path, fail: str = "") -> None:
    go = log.parent / "bin/go"
    go.write_text(GO.format(log=log, fail=fail))
    go.chmod(0o755)


def test_a_module_is_built_once_for_each_state_of_its_sources(module: Path, log: Path, tmp_path: Path) -> None:
    install_go(log)
    first, why_not = built_with_go(module, may_build=True, cache=tmp_path / "cache")
    assert (first is not None and first.read_text(), why_not) == ("program\n", "")
    assert built_with_go(module, may_build=True, cache=tmp_path / "cache")[0] == first
    (module / "main.go").write_text("other")
    assert built_with_go(module, may_build=True, cache=tmp_path / "cache")[0] not in {first, None}
    assert log.read_text() == "built\n" * 2


def test_without_go_the_reason_is_told(module: Path, log: Path, tmp_path: Path) -> None:
    assert not log.exists()
    program, why_not = built_with_go(module, may_build=True, cache=tmp_path / "cache")
    assert program is None
    assert "no Go toolchain" in why_not


def test_in_the_namespaces_nothing_is_built_and_the_reason_is_known(module: Path, log: Path, tmp_path: Path) -> None:
    install_go(log, fail="yes")
    built_with_go(module, may_build=True, cache=tmp_path / "cache")
    program, why_not = built_with_go(module, may_build=False, cache=tmp_path / "cache")
    assert program is None
    assert "no such module" in why_not
    assert log.read_text() == "built\n"
