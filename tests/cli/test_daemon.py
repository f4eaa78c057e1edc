"""``meshnet daemon``: an ordinary mistake is one line, and nothing is started."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import attrs
import pytest

from meshnet.cli import exitcodes

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Case:
    code: int
    told: str
    words: tuple[str, ...] = ()
    settings: dict[str, str] = attrs.field(factory=dict)


CASES = {
    "no file": Case(
        exitcodes.WRONG_USE,
        "--config {dir}/nosuch: No such file or directory: must be a text file, lines of NAME=VALUE",
        ("--config", "{dir}/nosuch"),
    ),
    "a directory": Case(
        exitcodes.WRONG_USE,
        "--config {dir}: Is a directory: must be a text file, lines of NAME=VALUE",
        ("--config", "{dir}"),
    ),
    "no text": Case(
        exitcodes.WRONG_USE,
        "--config {dir}/binary: byte 4 is no UTF-8 text: must be a text file, lines of NAME=VALUE",
        ("--config", "{dir}/binary"),
    ),
    "two questions": Case(
        exitcodes.WRONG_USE,
        "argument --ask: not allowed with argument --probe (see `meshnet daemon --help`)",
        ("--probe", "live", "--ask", "links"),
    ),
    "a line where the environment's variable is empty": Case(
        exitcodes.FAILED,
        "settings: HOST_IP: 'lost': an IP address",
        ("--config", "{dir}/lines"),
        {"HOST_IP": ""},
    ),
    "run directory": Case(
        exitcodes.FAILED,
        "settings: MESHNET_RUN_DIR: '{dir}/binary/run': a directory that it can make files in: Not a directory",
        settings={"MESHNET_RUN_DIR": "{dir}/binary/run"},
    ),
    "a file for a run directory": Case(
        exitcodes.FAILED,
        "settings: MESHNET_RUN_DIR: '{dir}/binary': a directory that it can make files in: File exists",
        settings={"MESHNET_RUN_DIR": "{dir}/binary"},
    ),
    "state directory": Case(
        exitcodes.FAILED,
        "settings: MESHNET_STATE_DIR: '{dir}/binary/state': a directory that it can make files in: Not a directory",
        settings={"MESHNET_STATE_DIR": "{dir}/binary/state"},
    ),
    "the socket's path": Case(
        exitcodes.FAILED,
        f"settings: MESHNET_SOCKET: '/{'s' * 107}': a path of at most 107 bytes",
        settings={"MESHNET_SOCKET": f"/{'s' * 107}"},
    ),
}


def daemon(directory: Path, case: Case) -> subprocess.CompletedProcess[str]:
    """Run the command with everything that it needs in a directory, but for what a case gives."""
    given = {"MESHNET_RUN_DIR": "{dir}/run", "MESHNET_STATE_DIR": "{dir}/state", "MESHNET_STORE": "memory:"}
    env = {**os.environ, "NODE_NAME": "n1", **{k: v.format(dir=directory) for k, v in (given | case.settings).items()}}
    words = [word.format(dir=directory) for word in case.words]
    command = [sys.executable, "-m", "meshnet", "daemon", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=env)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_mistake_is_told_in_one_line(tmp_path: Path, case: Case) -> None:
    (tmp_path / "binary").write_bytes(b"A=1\n\xff\xfe")
    (tmp_path / "lines").write_text("HOST_IP=lost\n")
    done = daemon(tmp_path, case)

    hint = "; this daemon is not run as root" if "directory that" in case.told and os.geteuid() else ""
    assert done.stderr == f"error: {case.told.format(dir=tmp_path)}{hint}\n"
    assert (done.returncode, done.stdout) == (case.code, "")
