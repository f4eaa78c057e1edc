"""What of the machine is installed for root, what it does without, and what benchmarks alone ask for."""

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


@pytest.fixture
def root(programs: Path) -> Path:
    """The same machine for root: `unshare` can be had, and of tcpdump its package lists know nothing."""
    (programs / "tcpdump").unlink()
    (programs / "unshare").unlink()
    for name, text in (("id", "echo 0"), ("unshare.there", "true"), ("apt-get", APT_GET.replace("BIN", str(programs)))):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    return programs


APT_GET = """case $* in
update*) exit 0 ;;
*tcpdump*) echo "E: Unable to locate package tcpdump" >&2; exit 100 ;;
*util-linux*) /bin/cp BIN/unshare.there BIN/unshare ;;
esac"""


def test_a_package_that_cannot_be_had_keeps_none_away_that_is_needed(root: Path) -> None:
    code, said = run(root)
    assert code == 0
    assert (root / "unshare").exists()
    assert "sudo apt-get install tcpdump" in said
    assert "what needs them is skipped" in said


def test_what_is_needed_and_cannot_be_had_is_an_error(root: Path) -> None:
    (root / "apt-get").write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
    code, said = run(root)
    assert code == 1
    assert "E: no network" in said
    assert "nothing works without: util-linux" in said
