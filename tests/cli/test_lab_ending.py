"""A command that is told to end, in a process of its own: it raises, and tells its own command in bounded time."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PREPARED = """
import os, signal, sys
from meshnet.cli.lab import runs
from meshnet.cli.lab.ending import Ending, ToldToEnd
runs.COMMAND_GRACE_S = 0.2
me = os.getpid()
"""


def said(script: str) -> str:
    """What a script says that a signal may end."""
    done = subprocess.run(
        [sys.executable, "-c", PREPARED + script], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_first_signal_raises_and_the_next_does_nothing(number):
    script = f"""
with Ending():
    try:
        os.kill(me, {number})
    except ToldToEnd as told:
        os.kill(me, {number})
        print(told.number)
"""
    assert said(script) == f"{number}\n"


@pytest.mark.parametrize(
    ("number", "error", "then"),
    [
        (signal.SIGTERM, "ToldToEnd", ""),
        (signal.SIGHUP, "ToldToEnd", ""),
        (signal.SIGINT, "KeyboardInterrupt", "again\n"),
    ],
)
def test_signal_is_postponed_until_a_step_is_done(number, error, then):
    """A further one that ends does nothing; a further interrupt is one."""
    script = f"""
with Ending() as ending:
    try:
        with ending.postponed():
            os.kill(me, {number})
            print("done")
    except {error}:
        print("told")
    try:
        os.kill(me, {number})
    except {error}:
        print("again")
"""
    assert said(script) == f"done\ntold\n{then}"


def test_command_that_has_only_just_begun_is_interrupted():
    """It runs before the call that starts it has returned."""
    script = """
import subprocess
class Interrupted(subprocess.Popen):
    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.begun.append(self)
        os.kill(me, signal.SIGINT)
    begun = []
subprocess.Popen = Interrupted
runs.INTERRUPT_S = 0.1
try:
    with Ending() as ending:
        runs._command(["sleep", "1000"], "lab", ending)
except KeyboardInterrupt:
    print("interrupted", Interrupted.begun[0].poll())
"""
    assert said(script) == f"interrupted {-signal.SIGINT}\n"


def test_ignored_signal_stays_so_and_handlers_come_back():
    script = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with Ending():
    os.kill(me, signal.SIGHUP)
print([signal.getsignal(number).name for number in (signal.SIGHUP, signal.SIGTERM)])
"""
    assert said(script) == "['SIG_IGN', 'SIG_DFL']\n"


def test_forked_child_just_ends():
    script = """
with Ending():
    child = os.fork()
    if child == 0:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert said(script) == f"{128 + signal.SIGTERM}\n"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ('trap "echo asked; exit 0" TERM; kill -TERM $PPID; while :; do sleep 0.01; done', "asked\n"),
        ('trap "" TERM; kill -TERM $PPID; while :; do sleep 0.01; done', ""),
    ],
)
def test_command_is_told_and_then_killed(command, told):
    script = f"""
with Ending() as ending:
    try:
        runs._command(["sh", "-c", {command!r}], "x", ending)
    except ToldToEnd as told:
        print(told)
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("no child")
"""
    assert said(script) == f"{told}SIGTERM\nno child\n"


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -9 $$", 137)])
def test_exit_code_of_a_command_is_that_of_a_shell(command, code):
    assert said(f"print(runs._command(['sh', '-c', {command!r}], 'x', Ending()))") == f"{code}\n"


@pytest.mark.parametrize(("command", "code"), [("no-such-program", 127), ("/etc/passwd", 126), ("/", 126)])
def test_command_that_cannot_be_started_has_the_code_that_a_shell_gives_it(command, code):
    assert said(f"print(runs._command([{command!r}], 'x', Ending()))") == f"{code}\n"
