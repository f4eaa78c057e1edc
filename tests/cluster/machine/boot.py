"""Starting a machine: a process tree in namespaces of its own, which ends whole with its first process."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.machine import running
from tests.cluster.machine.commands import COMMAND_S
from tests.cluster.machine.errors import ClusterError
from tests.cluster.machine.running import Process, Running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.cluster.machine.daemons import Machine

ROOT = Path(__file__).parents[3]
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
DOOR = "boot.sock"
_BOOT_S = 120.0
_LOOK_EVERY_S = 0.2
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True)
class Booted:
    """A machine that runs, as it is for who started it.

    Attributes:
        directory: the machine's.
        pid: of its first process, as seen here: who enters its namespaces needs it.
        process: what was started here; it ends when the machine does.
    """

    directory: Path
    pid: int
    process: subprocess.Popen[bytes]

    def end(self) -> None:
        """Pull the plug: see `running.end`."""
        running.end([self.directory])
        self.ended()

    def ended(self) -> None:
        """Take note that it has ended, whoever ended it."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(COMMAND_S)
        except subprocess.TimeoutExpired as error:
            raise ClusterError(f"{self.directory}: {self.process.args!r:.200} does not end") from error


def boot(
    machine: Machine,
    enter: Sequence[str],
    *,
    path: str = SYSTEM_PATH,
    prepare: Callable[[int], None] = lambda _pid: None,
) -> Booted:
    """Start a machine and wait until its daemons are started (not until they are ready).

    Args:
        machine: what it is to be; its directory exists.
        enter: the command that makes its namespaces, to be followed by the command of the first process.
        path: where its programs are looked for.
        prepare: called with the process id when the namespaces are there, before anything else is done in them.

    Raises:
        ClusterError: it does not boot; the text has the reason, as the machine gives it.
    """
    directory = Path(machine.directory)
    (directory / "machine.json").write_text(json.dumps(machine.as_json(), indent=1))
    with socket.socket(socket.AF_UNIX) as door:
        (directory / DOOR).unlink(missing_ok=True)
        door.bind(str(directory / DOOR))
        door.listen(1)
        door.settimeout(_LOOK_EVERY_S)
        process = _start(machine, enter, path)
        try:
            pid = _welcome(_knock(door, process), prepare)
        except (OSError, ClusterError) as error:
            process.kill()
            process.communicate()
            said = (directory / "init.log").read_text()[-2000:]
            raise ClusterError(f"machine {machine.name} does not boot: {error}; it said: {said}") from error
    Running(Process.of(pid), Process.of(process.pid)).write(directory)
    return Booted(directory, pid, process)


def _start(machine: Machine, enter: Sequence[str], path: str) -> subprocess.Popen[bytes]:
    with Path(machine.directory, "init.log").open("ab") as log:
        return subprocess.Popen(
            [*enter, sys.executable, "-m", "tests.cluster.machine.init", f"{machine.directory}/machine.json"],
            stdin=subprocess.PIPE if machine.lifeline else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[machine.listener] if machine.listener >= 0 else [],
            start_new_session=True,
            cwd="/",
            env={"PATH": path, "HOME": "/root", "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)},
        )


def _knock(door: socket.socket, process: subprocess.Popen[bytes]) -> socket.socket:
    """Wait for the first process to call."""
    deadline = time.monotonic() + _BOOT_S
    while time.monotonic() < deadline:
        try:
            return door.accept()[0]
        except TimeoutError:
            if process.poll() is not None:
                raise ClusterError(f"{process.args!r:.200} ended with {process.returncode}") from None
    raise ClusterError(f"waited {_BOOT_S:g} s for its first process")


def _welcome(connection: socket.socket, prepare: Callable[[int], None]) -> int:
    """Lead the first process through its boot and return its id, translated to this process's view by the kernel."""
    with connection:
        connection.settimeout(_BOOT_S)
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid: int = _CREDENTIALS.unpack(credentials)[0]
        prepare(pid)
        connection.sendall(b"go")
        with connection.makefile() as words:
            answer = words.read()
    if answer != "ready":
        raise ClusterError(answer or "it ended")
    return pid
