"""Which processes a machine is made of, as every process of this machine can know it, and how they end."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.machine.commands import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable

_FILE = "running.json"
_END_S = 240.0


@dataclass(frozen=True)
class Process:
    """A process, whose id will be another's one day.

    Attributes:
        pid: as seen here.
        started: when, as the kernel counts it.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, _started(pid))

    def lives(self) -> bool:
        """Whether it is there, and not just waiting for its parent to take note of its end."""
        return bool(self.started) and _started(self.pid) == self.started


@dataclass(frozen=True)
class Running:
    """A machine that runs.

    Attributes:
        first: its first process, with which all others end.
        starter: leads the group of processes that made its namespaces, and wait for the first one to end.
    """

    first: Process
    starter: Process

    def write(self, directory: Path) -> None:
        (directory / _FILE).write_text(json.dumps(asdict(self)))


def read(directory: Path) -> Running | None:
    """Return what runs the machine of a directory; None when it is off."""
    try:
        document = json.loads((directory / _FILE).read_text())
    except FileNotFoundError:
        return None
    running = Running(**{name: Process(**process) for name, process in document.items()})
    return running if running.first.lives() else None


def end(directories: Iterable[Path]) -> None:
    """Pull the plug of machines: the kernel ends all their processes, and then their namespaces and mounts.

    Raises:
        ClusterError: they are not gone in time.
    """
    found = {directory: machine for directory in directories if (machine := read(directory))}
    for machine in found.values():
        _kill(machine)
    for directory, machine in found.items():
        gone = f"process {machine.first.pid} of {directory} to be gone"
        wait_for(lambda first=machine.first: not first.lives(), gone, _END_S)  # type: ignore[misc]
        (directory / _FILE).unlink()


def _kill(machine: Running) -> None:
    with suppress(ProcessLookupError):
        os.kill(machine.first.pid, signal.SIGKILL)
    if machine.starter.lives():
        # stopped by somebody, what waits for the first one would never let it go
        with suppress(ProcessLookupError):
            os.killpg(machine.starter.pid, signal.SIGCONT)


def _started(pid: int) -> str:
    """When a process started, or "" when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
