"""What `make` takes for a tier that ran, with a stand-in for pytest, and how it sets up and lints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
REPORT = '<testsuites><testsuite><testcase name="a"/></testsuite></testsuites>'
PYTEST = """# Ends at once, as if killed; tried again, finds what failed in another run.
case $* in *--last-failed*) exit 0 ;; esac
kill -9 $$"""


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_report_of_another_run_is_none_of_a_tier_that_was_killed(tmp_path: Path) -> None:
    for tier in ("unit", "kernel", "lab"):
        (tmp_path / f"{tier}.xml").write_text(REPORT)
    program(tmp_path / "pytest", PYTEST)
    make = ["make", "--directory", ROOT, "--assume-old=install", f"PYTEST={tmp_path}/pytest", f"REPORTS={tmp_path}"]
    environ = {**os.environ, "MAKEFLAGS": ""}  # make may have started these tests
    subprocess.run([*make, "lab"], env=environ, capture_output=True, timeout=30, check=True)

    skips = [sys.executable, ROOT / "scripts/skips", tmp_path]
    judged = subprocess.run(skips, capture_output=True, text=True, timeout=30, check=False)

    assert judged.returncode == 1
    assert judged.stderr == f"error: lab: no report at {tmp_path}/lab.xml: the tier did not run\n"


def test_every_script_in_python_is_looked_at_by_lint() -> None:
    make = ["make", "--directory", ROOT, "--no-print-directory", "--dry-run", "--assume-old=install", "lint"]
    environ = {**os.environ, "MAKEFLAGS": ""}
    done = subprocess.run(make, env=environ, capture_output=True, text=True, timeout=30, check=True)

    check, form, *_ = done.stdout.splitlines()
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.read_text().startswith("#!/usr/bin/env python")]
    for script in scripts:
        name = str(script.relative_to(ROOT))
        assert (name in check.split(), name in form.split()) == (True, True), name


@pytest.fixture
def old_python(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine whose python3 is too old, as Ubuntu 22.04's, beside which there is another."""
    program(tmp_path / "python3", "exit 1")
    return {**os.environ, "MAKEFLAGS": "", "PATH": f"{tmp_path}:{os.environ['PATH']}"}


def test_another_python_reads_the_list_of_oldest_dependencies(tmp_path: Path, old_python: dict[str, str]) -> None:
    make = ["make", "--directory", ROOT, f"PYTHON={sys.executable}", f"OLDEST={tmp_path}", "MAKE=:", "test-oldest"]

    done = subprocess.run(make, env=old_python, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert "attrs==23.1" in (tmp_path / "constraints.txt").read_text()


def test_another_python_is_what_an_installation_is_made_with(tmp_path: Path, old_python: dict[str, str]) -> None:
    program(tmp_path / "python3.99", f'exec {sys.executable} "$@"')
    program(tmp_path / "id", "echo 1000")  # an ordinary user's, who installs nothing
    venv = tmp_path / "venv"
    # Only what comes before the first program in it.
    program(venv / "bin/python", "exit 9")
    make = ["make", "--directory", ROOT, "PYTHON=python3.99", f"VENV={venv}", "install"]

    done = subprocess.run(make, env=old_python, capture_output=True, text=True, timeout=30, check=False)

    assert "needs Python" not in done.stderr
    assert ".installed] Error 9" in done.stderr


def test_a_cluster_is_run_by_the_installation_whatever_that_is_made_with(
    tmp_path: Path, old_python: dict[str, str]
) -> None:
    venv = tmp_path / "venv"
    program(venv / "bin/python", 'echo "$@"')
    make = ["make", "--directory", ROOT, "--no-print-directory", "--assume-old=install"]
    make += [f"PYTHON={tmp_path}/python3", f"VENV={venv}", "cluster-down"]

    done = subprocess.run(make, env=old_python, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode, done.stdout) == (0, "-m tests.cluster.machine down\n"), done.stderr
