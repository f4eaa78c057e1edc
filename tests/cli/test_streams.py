"""Commands whose caller closed standard descriptors."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
