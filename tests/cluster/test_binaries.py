"""The cluster's programs are built once for each state of what they are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine import binaries
from tests.cluster.machine.errors import CannotHereError, ClusterError
from tests.cluster.machine.programs import BUILDS

if TYPE_CHECKING:
    from pathlib import Path

GO = """#!/bin/sh
[ "$1" != env ] || {{ echo {version}; exit; }}
echo "$*" >>{log}
while [ "$1" != -o ]; do shift; done
case $2 in */) mkdir "$2"; touch "$2/plugin" ;; *) echo "$PWD" >"$2" ;; esac
{more}
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the Go on the PATH was asked to build."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    install(tmp_path)
    return tmp_path / "log"


def install(tmp_path: Path, version: str = "go1.26.1", more: str = "") -> None:
    go = tmp_path / "bin/go"
    go.write_text(GO.format(version=version, log=tmp_path / "log", more=more))
    go.chmod(0o755)


def found(tmp_path: Path, *, may_build: bool = True) -> binaries.Binaries:
    return binaries.find_binaries(may_build=may_build, cache=tmp_path / "cache")


def test_all_are_built_each_by_its_module(tmp_path: Path, log: Path) -> None:
    made = found(tmp_path)
    for program in (made.etcd, made.kube, made.kubectl, made.containerd, made.ctr, made.cnitool):
        assert program.is_file(), program
    assert list(made.cni_plugins.iterdir())
    assert made.kube.read_text().endswith("modules/kube\n")
    assert "containerd-shim-runc-v2" in {path.name for path in made.containerd_home.iterdir()}
    assert len(log.read_text().splitlines()) == sum(len(calls) for calls in BUILDS.values())


def test_what_is_built_is_not_built_again_but_with_another_go(tmp_path: Path, log: Path) -> None:
    first = found(tmp_path)
    built = log.read_text()
    assert found(tmp_path) == first
    assert found(tmp_path, may_build=False) == first
    assert log.read_text() == built
    install(tmp_path, version="go1.26.2")
    assert found(tmp_path) != first


def test_what_is_not_there_and_may_not_be_built_is_a_reason(tmp_path: Path, log: Path) -> None:
    with pytest.raises(CannotHereError, match=r"\(etcd, kube, containerd\) are not built: make cluster-programs"):
        found(tmp_path, may_build=False)
    assert not log.exists()


def test_a_build_that_fails_tells_why_and_leaves_nothing_that_looks_built(tmp_path: Path, log: Path) -> None:
    install(tmp_path, more="echo no such module >&2; exit 1")
    with pytest.raises(ClusterError, match="etcd: etcd cannot be built: no such module"):
        found(tmp_path)
    install(tmp_path)
    assert found(tmp_path).etcd.exists()
    assert len(log.read_text().splitlines()) == 1 + sum(len(calls) for calls in BUILDS.values())
