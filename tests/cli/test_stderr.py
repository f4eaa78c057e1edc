"""Standard error on a full disk: what cannot be told there is lost, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from meshnet.cli import exitcodes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BOTH = """
{apiVersion: networkop.co.uk/v1beta1, kind: Topology, metadata: {name: r1}}
---
{apiVersion: v1, kind: Pod, metadata: {name: r1}}
"""


def code_without_stderr(*words: str, **settings: str) -> int:
    """The exit code of a command whose remarks and errors find no room."""
    with open("/dev/full", "wb") as full:
        return _meshnet(words, settings, stdout=subprocess.DEVNULL, stderr=full).returncode


def _meshnet(
    words: tuple[str, ...], settings: Mapping[str, str], **streams: object
) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **settings}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [sys.executable, "-m", "meshnet", *words], **streams, text=True, env=env, check=False, timeout=20
    )
    return done


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("words", "code"), [(("lab", "down", "nobody"), exitcodes.DONE), (("no",), exitcodes.WRONG_USE)]
)
def test_what_cannot_be_told_changes_no_exit_code(words: tuple[str, ...], code: int, unbuffered: str) -> None:
    assert code_without_stderr(*words, PYTHONUNBUFFERED=unbuffered) == code


def test_a_remark_that_cannot_be_told_keeps_nothing_from_being_done(tmp_path: Path) -> None:
    """`apply` says what it skips before it writes anything."""
    (tmp_path / "both.yml").write_text(BOTH)
    store = f"sqlite:{tmp_path / 'store.db'}"
    code = code_without_stderr("apply", "-f", str(tmp_path / "both.yml"), MESHNET_STORE=store)
    listed = _meshnet(("get", "topologies"), {"MESHNET_STORE": store}, capture_output=True)
    assert (code, "r1" in listed.stdout) == (exitcodes.DONE, True), listed


def test_a_pipe_that_nobody_reads_is_told_by_the_exit_code() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = _meshnet(("lab", "down", "nobody"), {"PYTHONUNBUFFERED": ""}, stdout=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    assert done.returncode == exitcodes.BROKEN_PIPE
