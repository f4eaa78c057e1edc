"""Running programs so that a failure tells what they said, and waiting so that it ends."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from tests.cluster.machine.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

COMMAND_S = 120.0
"""How long a program may take which is not told otherwise: much, since tests may run at idle priority."""


def run(
    command: Sequence[str | Path], *, stdin: str = "", timeout_s: float = COMMAND_S, env: dict[str, str] | None = None
) -> str:
    """Run a program that must succeed and return what it printed.

    Raises:
        ClusterError: it failed, with what it said, or took longer than `timeout_s`.
    """
    done = attempt(command, stdin=stdin, timeout_s=timeout_s, env=env)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-3000:]
        raise ClusterError(f"{_text(command)}: exit code {done.returncode}: {said}")
    return done.stdout


def attempt(
    command: Sequence[str | Path], *, stdin: str = "", timeout_s: float = COMMAND_S, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program that may fail and return how it ended.

    Raises:
        ClusterError: it is not there, or took longer than `timeout_s`.
    """
    words = [str(word) for word in command]
    try:
        return subprocess.run(
            words, input=stdin, env=env, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{_text(command)}: {error.strerror}: {error.filename}") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{_text(command)}: not done after {timeout_s:g} s") from error


def wait_for(holds: Callable[[], bool], what: str, timeout_s: float = COMMAND_S, every_s: float = 0.05) -> None:
    """Wait until `holds`.

    Raises:
        ClusterError: it does not within `timeout_s`; the text has `what`.
    """
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {timeout_s:g} s for {what}")
        time.sleep(every_s)


def _text(command: Sequence[str | Path]) -> str:
    return " ".join(str(word) for word in command)[:300]
