"""The spawner of pods' processes on the real kernel, as the supervisor talks to it."""

from __future__ import annotations

import json
import os
import resource
import socket
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.lab.channel import pair
from meshnet.lab.podspec import Container, PodSpec
from meshnet.lab.spawner import start_spawner

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

    def request(self, pod: PodSpec, log: str) -> None:
        message = {"pod": str(pod), "node": "n1", "sandbox": "c1", "container": "main"}
        with open(log, "wb") as output, open("/proc/self/ns/net", "rb") as netns:
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
    talk.request(NO_HOST, "/dev/full")
    pid = talk.answer()["pid"]
    assert talk.answer() == {"pid": pid, "code": 126}


def test_spawner_that_has_no_descriptor_left_says_so_and_goes_on(talk):
    limits = resource.prlimit(talk.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(talk.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    talk.request(NO_HOST, "/dev/null")
    assert "Too many open files" in talk.answer()["error"]
    resource.prlimit(talk.pid, resource.RLIMIT_NOFILE, limits)
    talk.request(NO_HOST, "/dev/null")
    assert talk.answer()["pid"]
