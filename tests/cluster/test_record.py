"""What is known of clusters by every process."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine import record
from tests.cluster.machine.errors import ClusterError
from tests.cluster.machine.running import Process, Running

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(record, "BASE", tmp_path / "clusters")
    return tmp_path / "clusters"


def mine() -> record.Record:
    return record.Record(port=1, nodes=3, groups=[])


def test_without_a_cluster_nothing_is_there_afterwards(base: Path) -> None:
    with record.alone():
        assert base.is_dir()
    assert not base.exists()


def test_a_cluster_whose_first_process_lives_is_not_swept_and_another_is(base: Path) -> None:
    with record.alone():
        for name in ("alive", "dead", "reused", "unsaid"):
            (base / name / record.FABRIC).mkdir(parents=True)
            record.write(name, mine())
        me = Process.of(os.getpid())
        with subprocess.Popen(["sleep", "100"]) as ended:
            of_ended = Process.of(ended.pid)
            ended.kill()
        for name, process in {"alive": me, "dead": of_ended, "reused": replace(me, started="1")}.items():
            Running(process, me).write(base / name / record.FABRIC)
        record.sweep()
        assert [path.name for path in base.iterdir()] == ["alive"]
    assert record.read("alive") == mine()
    assert record.read("dead") is None


@pytest.mark.parametrize("name", ["", "../x", "a/b", "UPPER", "-a", "a-", "x" * 21, "a\n"])
def test_what_cannot_be_a_name_is_refused(base: Path, name: str) -> None:
    assert not base.exists()
    with pytest.raises(ClusterError, match="a name is of"):
        record.directory_of(name)


def test_two_do_not_begin_clusters_at_once(base: Path) -> None:
    script = (
        "import sys, pathlib; from tests.cluster.machine import record; record.BASE = pathlib.Path(sys.argv[1])\n"
        "with record.alone(): print('alone')"
    )
    with record.alone():
        command = ["python3", "-c", script, str(base)]
        other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."})
        with pytest.raises(subprocess.TimeoutExpired):
            other.communicate(timeout=1)
    assert other.communicate(timeout=30)[0] == "alone\n"
    assert not base.exists()
