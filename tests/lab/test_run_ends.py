"""``meshnet lab run`` takes its lab along however it ends, and tells its command."""

from __future__ import annotations

import os
import pty
import signal
import time

import pytest

from meshnet.lab.record import LabRecords
from tests.lab import machine
from tests.lab.topologies import pair, ring

pytestmark = pytest.mark.lab

CARES = "trap 'echo told >> {0}/told; exit 0' TERM HUP; touch {0}/ready; while :; do sleep 0.05; done"


@pytest.fixture
def running(lab, tmp_path):
    """Start `lab run` with a command of the shell, and return its process when the command runs."""

    def start(script: str):
        file = tmp_path / "pair.yml"
        file.write_text(pair())
        process = lab.start("lab", "run", str(file), "--", "sh", "-c", script.format(tmp_path))
        machine.eventually((tmp_path / "ready").exists, "the command does not run")
        return process

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_run_that_is_told_to_end_ends_its_lab(lab, running, number):
    process = running("touch {0}/ready; exec sleep 1000")
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert lab.gone()
    assert lab.name not in lab.ok("lab", "list")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_command_of_a_run_is_told_and_may_end_by_itself(running, tmp_path, number):
    process = running(CARES)
    process.send_signal(number)
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert (tmp_path / "told").read_text() == "told\n"


def test_interrupted_command_may_end_by_itself(running, tmp_path):
    process = running("trap 'sleep 2; touch {0}/tidy; exit 0' INT; touch {0}/ready; while :; do sleep 0.05; done")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 128 + signal.SIGINT
    assert (tmp_path / "tidy").exists()


def test_at_a_terminal_an_interrupt_is_the_commands_affair(lab, tmp_path):
    file = tmp_path / "pair.yml"
    file.write_text(pair())
    script = "trap : INT; touch {0}/ready; until test -e {0}/enough; do sleep 0.05; done; exit 9"
    controller, terminal = pty.openpty()
    try:
        process = lab.start("lab", "run", str(file), "--", "sh", "-c", script.format(tmp_path), stdin=terminal)
        machine.eventually((tmp_path / "ready").exists, "the command does not run")
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        (tmp_path / "enough").touch()
        assert process.wait(20) == 9
    finally:
        os.close(controller)
        os.close(terminal)


def test_run_under_nohup_does_not_end(running, tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = running("touch {0}/ready; until test -e {0}/enough; do sleep 0.05; done; exit 9")
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    (tmp_path / "enough").touch()
    assert process.wait(20) == 9


def test_run_that_is_killed_leaves_no_lab(lab, running, tmp_path):
    process = running("touch {0}/ready; until test -e {0}/enough; do sleep 0.05; done")
    process.kill()
    process.wait(20)
    (tmp_path / "enough").touch()
    machine.eventually(lab.gone, "processes are left")
    assert lab.name not in lab.ok("lab", "list")


def test_command_that_dies_by_a_signal_has_the_exit_code_of_a_shell(lab, running):
    assert running("touch {0}/ready; kill -9 $$").wait(20) == 128 + 9


@pytest.mark.parametrize("delay_s", [0.0, 0.02, 0.1, 0.3, 0.6, 1.0])
def test_run_told_to_end_in_mid_up_leaves_nothing(lab, tmp_path, delay_s):
    file = tmp_path / "ring.yml"
    file.write_text(ring(60))
    process = lab.start("lab", "run", str(file), "--", "sleep", "1000")
    machine.eventually(lambda: lab.name in lab.ok("lab", "list"), "no record")
    time.sleep(delay_s)
    process.terminate()
    assert process.wait(20) == 128 + signal.SIGTERM
    assert lab.name not in lab.ok("lab", "list")
    machine.eventually(lab.gone, "processes are left")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_up_that_is_told_to_end_is_there_until_its_lab_is_gone(lab, tmp_path, number):
    file = tmp_path / "ring.yml"
    file.write_text(ring(60))
    process = lab.start("lab", "up", str(file))
    machine.eventually(lambda: lab.name in lab.ok("lab", "list"), "no record")
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert lab.name not in {record.name for record in LabRecords.of_this_user().running()}
