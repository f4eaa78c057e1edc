"""What the benchmarks need is installed before they start, and asked for by nobody else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/system-packages"
THERE = ("ip", "ping", "unshare", "mount", "gcc", "musl-gcc", "tcpdump", "ethtool", "iperf3")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The programs of an ordinary user's machine that has all but what only benchmarks need."""
    for name in THERE:
        (tmp_path / name).symlink_to("/bin/true")
    (tmp_path / "python3").symlink_to(sys.executable)
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    return tmp_path


def run(programs: Path, *arguments: str) -> tuple[int, str]:
    command = ["/bin/sh", str(SCRIPT), *arguments]
    ran = subprocess.run(command, env={"PATH": str(programs)}, capture_output=True, text=True, timeout=30, check=False)
    return ran.returncode, ran.stderr


def test_benchmarks_need_what_they_compare_with(programs: Path) -> None:
    code, said = run(programs, "bench")
    assert code == 1
    assert "mininet" in said


def test_nothing_else_needs_it(programs: Path) -> None:
    code, said = run(programs)
    assert code == 0
    assert "mininet" not in said


def test_a_cluster_needs_what_its_nodes_run(programs: Path) -> None:
    code, said = run(programs, "cluster")
    assert code == 0
    assert "openssl" in said
    assert "what needs them is skipped" in said


def test_another_purpose_is_an_error(programs: Path) -> None:
    code, said = run(programs, "bnech")
    assert code == 2
    assert "bnech" in said
