"""The spawner of pods' processes on the real kernel, as the supervisor talks to it."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.lab.channel import pair
from meshnet.lab.podspec import Container, PodSpec
from meshnet.lab.spawner import start_spawner
from tests.lab import machine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

SOON_S = 10.0
NO_HOST = PodSpec("default", "r1", "x" * 100, containers=(Container("main", ("true",)),))
"""One whose processes cannot be started: no kernel takes that hostname."""


class Talk:
    """The supervisor's end."""

    def __init__(self) -> None:
        ours, theirs = pair()
        with ours, theirs:
            self.pid, self.socket = start_spawner({str(NO_HOST): NO_HOST}, theirs)
        self.socket.settimeout(SOON_S)

    def request(self, log: int | str) -> None:
        """Have one started; `log` is a path or a descriptor."""
        message = {"pod": str(NO_HOST), "node": "n1", "sandbox": "c1", "container": "main"}
        with open(log, "wb", closefd=isinstance(log, str)) as output, open("/proc/self/ns/net", "rb") as netns:
            socket.send_fds(self.socket, [json.dumps(message).encode()], [netns.fileno(), output.fileno()])

    def answer(self) -> dict[str, Any]:
        answer = json.loads(self.socket.recv(1 << 16))
        return {name: answer[name] for name in ("pid", "code", "error") if name in answer}


@pytest.fixture
def talk() -> Iterator[Talk]:
    talk = Talk()
    yield talk
    talk.socket.close()
    os.waitpid(talk.pid, 0)


def test_process_that_can_neither_start_nor_say_why_ends(talk):
    """As when a runaway log has filled the lab's memory."""
    talk.request("/dev/full")
    pid = talk.answer()["pid"]
    assert talk.answer() == {"pid": pid, "code": 126}


def test_spawner_that_has_no_descriptor_left_says_so_and_goes_on(talk):
    talk.request("/dev/null")
    assert talk.answer()["pid"]  # it has what it needs itself
    assert talk.answer()["code"]
    limits = resource.prlimit(talk.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(talk.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    talk.request("/dev/null")
    assert "Too many open files" in talk.answer()["error"]
    resource.prlimit(talk.pid, resource.RLIMIT_NOFILE, limits)
    talk.request("/dev/null")
    assert talk.answer()["pid"]


class FullPipe:
    """A log that takes nothing until it is emptied: what writes to it is at a stand."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.writing, bytes(1 << 16))
        os.set_blocking(self.writing, True)

    def empty(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.read(self.reading, 1 << 16)

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


@pytest.fixture
def logs() -> Iterator[tuple[FullPipe, FullPipe]]:
    logs = FullPipe(), FullPipe()
    yield logs
    for log in logs:
        log.close()


def test_process_that_starts_as_another_ends_is_told_when_it_has_started(talk, logs):
    """What had not started when it ended leaves the number of its pipe to the next."""
    first, second = logs
    children = Path(f"/proc/{talk.pid}/task/{talk.pid}/children")
    talk.request(first.writing)
    machine.eventually(children.read_text, "nothing is forked")
    pid = int(children.read_text())
    os.kill(talk.pid, signal.SIGSTOP)
    first.empty()
    machine.eventually(lambda: ") Z " in Path(f"/proc/{pid}/stat").read_text(), "it does not end")
    talk.request(second.writing)
    os.kill(talk.pid, signal.SIGCONT)
    assert [talk.answer(), talk.answer()] == [{"pid": pid}, {"pid": pid, "code": 126}]
    machine.eventually(children.read_text, "nothing is forked")
    pid = int(children.read_text())
    talk.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        talk.answer()
    talk.socket.settimeout(SOON_S)
    second.empty()
    assert talk.answer() == {"pid": pid}
