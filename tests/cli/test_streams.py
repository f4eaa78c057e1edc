"""Commands whose caller closed standard descriptors, or has their standard error on a full disk."""

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

MESHNET = f"{sys.executable} -m meshnet"


def shell(script: str) -> tuple[int, str, str]:
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False, timeout=20)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words", ["drivers", "drivers -o json", "--help", "--version"])
def test_without_standard_output_a_command_does_what_it_should(words: str) -> None:
    assert shell(f"{MESHNET} {words} >&-") == (0, "", "")


def test_without_standard_output_errors_are_told() -> None:
    code, out, err = shell(f"{MESHNET} nonsense >&-")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_without_standard_error_errors_do_not_go_elsewhere() -> None:
    assert shell(f"{MESHNET} nonsense 2>&-") == (2, "", "")


def test_standard_input_that_is_closed_is_named() -> None:
    assert shell(f"{MESHNET} check - <&- >&-") == (2, "", "error: -: standard input is closed\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_standard_descriptor_is_taken_by_what_is_opened_next(closed: str) -> None:
    script = (
        "import os\n"
        "from meshnet.cli.streams import open_closed_streams\n"
        "open_closed_streams()\n"
        "fd = os.open('/', os.O_RDONLY)\n"
        "os._exit(0 if fd > 2 and all(map(os.get_inheritable, range(3))) else 3)"
    )
    assert shell(f'{sys.executable} -c "{script}" {closed}')[0] == 0


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
