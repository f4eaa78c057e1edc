"""A node's daemon as the lab starts it, and what is told of its log."""

from __future__ import annotations

import itertools
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import DaemonUnreachable, MeshnetError
from meshnet.lab import node as module
from meshnet.lab.node import Node
from tests.cni.daemon import Daemon, answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable


@pytest.fixture
def node(tmp_path):
    """A node in this process's network namespace whose daemons are numbers."""
    pids = itertools.count(1)

    def spawn(*_: object) -> int:
        time.sleep(0.1)
        return next(pids)

    node = Node("n1", 1, SimpleNamespace(address="10.99.0.1"), SimpleNamespace(spawn=spawn), {})
    node.directory = tmp_path
    with open("/proc/thread-self/ns/net") as namespace:
        node.netns_fd = namespace.fileno()
        yield node


@pytest.mark.kernel
def test_of_two_starts_at_once_one_starts_the_daemon_and_the_other_is_refused(node):
    both = threading.Barrier(2)

    def start() -> str:
        both.wait()
        try:
            node.start({})
        except MeshnetError as error:
            return str(error)
        return "started"

    with ThreadPoolExecutor(2) as executor:
        told = [each.result() for each in [executor.submit(start) for _ in range(2)]]

    assert sorted(told) == ["node n1: its daemon runs already (pid 1)", "started"]
    assert node.pid == 1


@pytest.mark.kernel
def test_daemon_that_ends_before_its_pid_is_told_does_not_run(node, monkeypatch):
    def spawn(_argv: object, _env: object, _descriptors: object, ended: Callable[[int], None]) -> int:
        ended(1)
        return 7

    monkeypatch.setattr(node._children, "spawn", spawn)
    node.start({})
    assert (node.pid, node.condition()) == (None, "ended with exit code 1")


def test_last_words_of_a_long_log_cost_no_memory(node):
    with node.log.open("wb") as log:
        log.truncate(1 << 28)  # what was trimmed reads as zeros
        log.seek(0, 2)
        log.write(b"the first\nthe last\n")
    tracemalloc.start()
    try:
        assert node.last_words() == "the last"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_daemon_that_answers_is_not_silent(node):
    with Daemon(node.socket, answer(b'{"node": "n1"}')):
        node.refuse_silent()


def test_daemon_that_takes_connections_alone_is_silent(node, monkeypatch):
    """As one that was stopped by a signal."""
    monkeypatch.setattr(module, "ANSWER_TIMEOUT_S", 0.2)
    node._pid = 7
    asked = threading.Event()

    def hang(_daemon: Daemon, _conn: socket.socket, _number: int) -> None:
        asked.wait(5)

    told = r"^node n1: its daemon runs, and does not answer \(meshnet lab logs n1\)$"
    with Daemon(node.socket, hang):
        with pytest.raises(DaemonUnreachable, match=told):
            node.refuse_silent()
        asked.set()
