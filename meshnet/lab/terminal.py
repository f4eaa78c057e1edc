"""A command in a lab that has the terminal of its caller, as a job of its caller's shell."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from meshnet.lab.enter import run_forked, start_forked, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable


_OF_KEYS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
"""What a terminal sends to the process group that has it."""


def run_at_terminal(function: Callable[[], int]) -> int:
    """Do as `run_forked`; where this process has a terminal for itself, the child has it, in its own process group.

    The group of this process has no number in another PID namespace: a shell there could not give the terminal back to
    it. In a script or a pipeline that group is others' too, who need the terminal and its keys as well: it stays there.
    """
    if not _alone_at_terminal():
        return run_forked(function)

    def in_front() -> int:
        os.setpgid(0, 0)
        _bring_to_front(os.getpgrp())
        return function()

    pid = start_forked(in_front)
    return _Lent(pid).wait()


def _alone_at_terminal() -> bool:
    with contextlib.suppress(OSError):
        return os.getpid() == os.getpgrp() == os.tcgetpgrp(0) == os.tcgetpgrp(1)
    return False


def _bring_to_front(group: int) -> None:
    """Have a process group read the terminal and get its signals."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # sent to who does so from the background
    try:
        with contextlib.suppress(OSError):  # it was hung up
            os.tcsetpgrp(0, group)
    finally:
        signal.signal(signal.SIGTTOU, before)


class _Lent:
    """The terminal, lent to a child that leads a process group."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._lent = True

    def wait(self) -> int:
        """Wait for the child, and return its exit code, as a shell has it."""
        return wait_for(self._pid, self._status)

    def _status(self, pid: int) -> int:
        """Wait for the child's end and return its status."""
        before = {number: signal.signal(number, self._pass_on) for number in _OF_KEYS}
        before[signal.SIGCONT] = signal.signal(signal.SIGCONT, lambda *_: self._lend())
        try:
            while True:
                _, status = os.waitpid(pid, os.WUNTRACED)
                if not os.WIFSTOPPED(status):
                    return status
                self._stop()
                self._tell(signal.SIGCONT)
        finally:
            self._take_back()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self) -> None:
        """Stop as the child has, for the shell; return when that has it go on, as a job in front or not."""
        if self._lend():
            return  # it had wanted to read: the shell gives the terminal to a job that runs without telling it
        self._take_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # and no SIGSTOP: without a shell nobody would have it go on
        signal.signal(signal.SIGTSTP, self._pass_on)
        self._lend()

    def _lend(self) -> bool:
        """Lend it, and tell so, if the shell has given it to this process."""
        with contextlib.suppress(OSError):
            if os.tcgetpgrp(0) == os.getpgrp():
                _bring_to_front(self._pid)
                self._lent = True
                return True
        return False

    def _take_back(self) -> None:
        if self._lent:
            _bring_to_front(os.getpgrp())
            self._lent = False

    def _pass_on(self, number: int, _frame: object) -> None:
        self._lend()
        self._tell(number)

    def _tell(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, number)
