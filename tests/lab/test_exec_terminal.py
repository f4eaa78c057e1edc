"""``lab exec`` at a terminal: the command has it, with job control, and its caller's shell has it back."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import time

import pytest

from tests.lab.topologies import pair

pytestmark = [pytest.mark.lab, pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")]
DASH = pytest.mark.skipif(not shutil.which("dash"), reason="needs dash")
TIMEOUT_S = 10


class Shell:
    """An interactive bash at a terminal of its own, where ``in_r1`` is `lab exec r1 --`."""

    def __init__(self, lab, directory) -> None:
        program = directory / "in_r1"
        program.write_text(f'#!/bin/sh\nexec {shlex.join(lab.command)} lab exec r1 -- "$@"\n')
        program.chmod(0o755)
        environment = {**lab.environment, "PS1": "outer> ", "PATH": f"{directory}:{os.environ['PATH']}"}
        self._pid, self.terminal = pty.fork()
        if self._pid == 0:
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
        self.shown = ""
        self.until("outer> ")
        self.type("stty -echo\n", "outer> ")

    def begin(self, command: str) -> None:
        """Start a command that says that it has begun, and then does something long."""
        self.type(f"{command}\n", "begun")
        time.sleep(0.3)  # what is stopped, or interrupted, while it starts another program may hang, in any shell

    def type(self, keys: str, answer: str) -> str:
        """Type keys and return what is shown up to the answer."""
        os.write(self.terminal, keys.encode())
        return self.until(answer)

    def exit_code(self) -> int:
        """Return that of the shell's last command."""
        return int(self.type('echo "=$?="\n', "outer> ").split("=")[1])

    def until(self, answer: str) -> str:
        deadline = time.monotonic() + TIMEOUT_S
        while answer not in self.shown:
            assert select.select([self.terminal], [], [], deadline - time.monotonic())[0], self.shown
            self.shown += os.read(self.terminal, 4096).decode()
        before, _, self.shown = self.shown.partition(answer)
        return before

    def close(self) -> None:
        os.close(self.terminal)
        os.waitpid(self._pid, 0)


@pytest.fixture
def shell(lab, tmp_path):
    lab.ok("lab", "up", "-", stdin=pair())
    shell = Shell(lab, tmp_path)
    yield shell
    shell.close()


@DASH
def test_shell_with_job_control_ends_with_its_own_exit_code(shell):
    shell.type("in_r1 dash\n", "# ")
    assert "process group" not in shell.type("exit 7\n", "outer> ")
    assert shell.exit_code() == 7


def test_command_is_stopped_and_goes_on_as_a_job_of_the_shell(shell):
    shell.begin("in_r1 sh -c 'echo begun; exec cat'")
    shell.type("\x1a", "Stopped")
    shell.until("outer> ")
    shell.type("fg\n", "in_r1")
    shell.type("hello\n", "hello")
    shell.type("\x03", "outer> ")
    assert shell.exit_code() == 130


def test_command_in_the_background_waits_for_the_terminal_when_it_reads(shell):
    shell.type("in_r1 cat & sleep 0.1; wait %1; echo waited\n", "waited")
    shell.type("fg\n", "in_r1")
    shell.type("hello\n", "hello")
    shell.type("\x04", "outer> ")
    assert shell.exit_code() == 0


def test_command_that_goes_on_in_the_background_has_the_terminals_keys_when_it_comes_back(shell):
    shell.begin("in_r1 sh -c 'echo begun; sleep 1000; echo never' &")
    shell.type("fg\n", "in_r1")
    shell.type("\x03", "outer> ")
    assert shell.exit_code() == 130


def test_command_that_was_stopped_goes_on_in_the_background_and_comes_back(shell):
    shell.begin("in_r1 sh -c 'echo begun; sleep 1000; echo never'")
    shell.type("\x1a", "outer> ")
    shell.type("bg\n", "outer> ")
    assert "Running" in shell.type("sleep 0.5; jobs\n", "outer> ")
    shell.type("fg\n", "in_r1")
    time.sleep(0.5)
    shell.type("\x03", "outer> ")
    assert shell.exit_code() == 130


def test_command_that_came_back_without_being_told_reads(shell):
    shell.begin("in_r1 sh -c 'echo begun; sleep 3; cat'")
    shell.type("\x1a", "outer> ")
    shell.type("bg\n", "outer> ")
    shell.type("fg\n", "in_r1")
    shell.type("hello\n", "hello")
    shell.type("\x1a", "outer> ")
    shell.type("fg\n", "in_r1")
    shell.type("\x04", "outer> ")
    assert shell.exit_code() == 0


def test_command_goes_on_where_no_shell_would_have_it_go_on(shell):
    shell.begin("exec in_r1 sh -c 'echo begun; exec cat'")
    os.write(shell.terminal, b"\x1a")
    time.sleep(0.3)
    shell.type("hello\n", "hello")
    os.write(shell.terminal, b"\x04")


def test_others_of_a_pipeline_keep_the_terminal(shell):
    shell.type("in_r1 echo piped | sh -c 'cat; read key < /dev/tty; echo $key'\n", "piped")
    shell.type("pressed\n", "pressed")
    shell.until("outer> ")


def test_interrupt_ends_a_script_also_when_its_command_takes_it_for_no_error(shell):
    shell.begin("""sh -c 'while in_r1 sh -c "trap exit\\ 0 INT; echo begun; sleep 1000"; do :; done'""")
    shell.type("\x03", "outer> ")
