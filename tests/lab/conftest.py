"""Whole labs, by the command line, each with a name of its own and ended after its test."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab import machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 50


class Lab:
    """A lab under test.

    Args:
        name: unique; every process of the lab has it in its environment.
        command: what starts ``meshnet``.
        environment: of these commands.
    """

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        self.name = name
        self.command = list(command)
        self.environment = {**environment, "MESHNET_LAB": name, "LAB_TEST": name}

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a ``meshnet`` command on this lab and return how it ended."""
        return subprocess.run(
            [*self.command, *words],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            cwd="/",
        )

    def start(
        self, *words: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a ``meshnet`` command without waiting for it."""
        command, null = [*self.command, *words], subprocess.DEVNULL
        return subprocess.Popen(command, env=self.environment, stdin=stdin, stdout=stdout, stderr=null, cwd="/")

    def ok(self, *words: str, stdin: str = "") -> str:
        """Run a command that must succeed, and return what it printed."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def sh(self, pod: str, script: str) -> str:
        """Run a shell script in a pod and return what it printed."""
        return self.ok("lab", "exec", pod, "--", "sh", "-c", script).strip()

    def json(self, *words: str) -> Any:
        return json.loads(self.ok(*words, "-o", "json"))

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        return next(int(row["pid"]) for row in self.json("lab", "list") if row["name"] == self.name)

    def gone(self) -> bool:
        """Whether no process of the lab is left."""
        return not machine.processes(self.name)


def unique_name() -> str:
    return f"test-{secrets.token_hex(4)}"


def new_lab() -> Lab:
    """A lab of this user, by this source, that is not up yet."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    users = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": ""}
    return Lab(unique_name(), [sys.executable, "-m", "meshnet"], users)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A lab that is not up yet; after the test it is down and has left nothing."""
    lab = new_lab()
    before = machine.snapshot()
    yield lab
    lab.ok("lab", "down", lab.name)
    machine.eventually(lab.gone, "processes of the lab are left")
    assert machine.snapshot() == before
    assert machine.sockets(lab.name) == []
    assert lab.name not in lab.ok("lab", "list")
