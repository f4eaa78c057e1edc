"""What `make` takes for a tier that ran, with a stand-in for pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPORT = '<testsuites><testsuite><testcase name="a"/></testsuite></testsuites>'
PYTEST = """#!/bin/sh
# Ends at once, as if killed; tried again, finds what failed in another run.
case $* in *--last-failed*) exit 0 ;; esac
kill -9 $$
"""


def test_the_report_of_another_run_is_none_of_a_tier_that_was_killed(tmp_path: Path) -> None:
    for tier in ("unit", "kernel", "lab"):
        (tmp_path / f"{tier}.xml").write_text(REPORT)
    (tmp_path / "pytest").write_text(PYTEST)
    (tmp_path / "pytest").chmod(0o755)
    make = ["make", "--directory", ROOT, "--assume-old=install", f"PYTEST={tmp_path}/pytest", f"REPORTS={tmp_path}"]
    environ = {**os.environ, "MAKEFLAGS": ""}  # make may have started these tests
    subprocess.run([*make, "lab"], env=environ, capture_output=True, timeout=30, check=True)

    skips = [sys.executable, ROOT / "scripts/skips", tmp_path]
    judged = subprocess.run(skips, capture_output=True, text=True, timeout=30, check=False)

    assert judged.returncode == 1
    assert judged.stderr == f"error: lab: no report at {tmp_path}/lab.xml: the tier did not run\n"
