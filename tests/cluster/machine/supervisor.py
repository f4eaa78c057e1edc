"""Keeps a machine's daemons running, as its first process: starts, restarts and stops them, and reaps every orphan."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import urllib.request
from typing import TYPE_CHECKING

from tests.cluster.machine.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.machine.daemons import Daemon

RESTART_S = 1.0
_LOOK_EVERY_S = 0.05


class Kept:
    """One daemon: a task that has it running whenever it is wanted.

    Args:
        daemon: what to run.
        log: the file that gets all it says.
    """

    def __init__(self, daemon: Daemon, log: Path) -> None:
        self.daemon = daemon
        self.pid = 0
        self.wanted = asyncio.Event()
        self.wanted.set()
        self._log = log
        self._ended = asyncio.Event()

    async def keep(self) -> None:
        """Run it for ever."""
        while True:
            await self.wanted.wait()
            if not await _is_there(self.daemon):
                await asyncio.sleep(_LOOK_EVERY_S)
                continue
            self._ended.clear()
            self.pid = self._spawn()
            await self._ended.wait()
            await asyncio.sleep(RESTART_S if self.wanted.is_set() else 0)

    def ended(self, status: int) -> None:
        """Take note that its process was reaped."""
        with self._log.open("a") as log:
            log.write(f"--- ended with status {os.waitstatus_to_exitcode(status)}\n")
        self.pid = 0
        self._ended.set()

    def _spawn(self) -> int:
        program = shutil.which(self.daemon.argv[0]) or self.daemon.argv[0]
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(self._log), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        unblocked: set[signal.Signals] = set()
        return os.posix_spawn(
            program, self.daemon.argv, os.environ, file_actions=files, setsid=True, setsigmask=unblocked
        )


class Supervisor:
    """All daemons of a machine.

    Args:
        daemons: what to keep running, by name.
        logs: directory of ``NAME.log``.
    """

    def __init__(self, daemons: tuple[Daemon, ...], logs: Path) -> None:
        self._kept = {daemon.name: Kept(daemon, logs / f"{daemon.name}.log") for daemon in daemons}

    async def run(self) -> None:
        """Keep them running for ever."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)
        async with asyncio.TaskGroup() as tasks:
            for kept in self._kept.values():
                tasks.create_task(kept.keep())
            await asyncio.Event().wait()

    def request(self, what: str, name: str) -> str:
        """Carry out a request about a daemon and return its process id, or "" when it is not running.

        Args:
            what: ``stop`` (SIGTERM, and it stays down), ``kill`` (SIGKILL, and it is restarted), ``cut`` (SIGKILL, and
                it stays down), ``start``, ``freeze``, ``thaw``, ``pid``.
            name: the daemon's.

        Raises:
            ClusterError: there is no such daemon, or no such request.
        """
        kept = self._kept.get(name)
        if kept is None:
            raise ClusterError(f"no daemon {name} here: there are {', '.join(self._kept)}")
        pid = str(kept.pid or "")
        if what in {"stop", "cut"}:
            kept.wanted.clear()
        elif what == "start":
            kept.wanted.set()
        elif what not in {"kill", "freeze", "thaw", "pid"}:
            raise ClusterError(f"no request {what}: it is stop, kill, cut, start, freeze, thaw or pid")
        sent = _SIGNALS.get(what)
        if kept.pid and sent:
            os.kill(kept.pid, sent)
        return pid

    def _reap(self) -> None:
        by_pid = {kept.pid: kept for kept in self._kept.values() if kept.pid}
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] in by_pid:
                    by_pid[found[0]].ended(found[1])


_SIGNALS = {
    "stop": signal.SIGTERM,
    "cut": signal.SIGKILL,
    "kill": signal.SIGKILL,
    "freeze": signal.SIGSTOP,
    "thaw": signal.SIGCONT,
}


async def _is_there(daemon: Daemon) -> bool:
    """Whether what a daemon needs is there."""
    if "://" not in daemon.needs:
        return not daemon.needs or os.path.exists(daemon.needs)
    return await asyncio.to_thread(_answers, daemon.needs, daemon.authority)


def _answers(url: str, authority: str) -> bool:
    context = ssl.create_default_context(cafile=authority) if authority else None
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as response:
            return bool(response.status == 200)
    except OSError:
        return False
