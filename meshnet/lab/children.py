"""The supervisor's own children: start them, learn how they end. As first process it also reaps what is orphaned."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from meshnet.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Children:
    """Processes started with `spawn`; thread-safe. `reap` is called at every SIGCHLD, by one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[int, Callable[[int], None]] = {}

    def spawn(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        descriptors: Mapping[int, int],
        ended: Callable[[int], None],
    ) -> int:
        """Start a program in the calling thread's namespaces and return its pid.

        Args:
            argv: its path and arguments.
            env: its whole environment.
            descriptors: descriptor here by number there.
            ended: called by the reaping thread with the exit code; minus the number of a signal.

        Raises KernelError when the program cannot be started.
        """
        actions = [(os.POSIX_SPAWN_DUP2, here, there) for there, here in descriptors.items()]
        # the lock spans both steps: the child may end before its pid is known here
        with self._lock:
            try:
                # a thread of Python's may have signals blocked; the program starts with none
                pid = os.posix_spawn(
                    argv[0],
                    list(argv),
                    env,
                    file_actions=actions,
                    setsigmask=[],
                    setsigdef=[signal.SIGPIPE, signal.SIGINT],
                )
            except OSError as error:
                raise KernelError(error.errno or 0, f"start {argv[0]}") from error
            self._waiting[pid] = ended
        return pid

    def watch(self, pid: int, ended: Callable[[int], None]) -> None:
        """Learn of the end of a child that was made by `os.fork` before any reaping."""
        with self._lock:
            self._waiting[pid] = ended

    def kill(self, pid: int, signal_number: int) -> bool:
        """Send a signal to a child; tell whether it had not been reaped, after which its number may be another's."""
        with self._lock:
            if pid not in self._waiting:
                return False
            os.kill(pid, signal_number)
            return True

    def reap(self) -> None:
        """Collect every child that has ended."""
        while True:
            with self._lock:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                if pid == 0:
                    return
                ended = self._waiting.pop(pid, None)
            if ended is not None:
                ended(os.waitstatus_to_exitcode(status))
