"""A machine's first process: daemons, requests, connections from outside; without a Kubernetes, and without root."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine import control
from tests.cluster.machine.boot import SYSTEM_PATH, Booted, boot
from tests.cluster.machine.commands import wait_for
from tests.cluster.machine.daemons import Daemon, Machine
from tests.cluster.machine.errors import ClusterError
from tests.cluster.machine.init import CONTROL
from tests.lab.machine import processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.cluster
NAMESPACES = [
    "unshare",
    *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]),
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
]
SERVER = "import http.server as h; h.ThreadingHTTPServer(('127.0.0.1', 80), h.SimpleHTTPRequestHandler).serve_forever()"


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="meshnet-boot-"))
    yield path
    wait_for(lambda: not processes(path.name), "the machine's processes to end")
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(directory: Path) -> Iterator[Callable[..., Booted]]:
    """Starts a machine with daemons; it ends after the test."""
    ended: list[Booted] = []

    def start(*daemons: Daemon, listener: int = -1) -> Booted:
        machine = Machine("m", str(directory), daemons, listener, 80, lifeline=True)
        ended.append(boot(machine, NAMESPACES, path=SYSTEM_PATH))
        return ended[-1]

    yield start
    for booted in ended:
        booted.end()


def ask(directory: Path, what: str, name: str) -> str:
    return control.ask(directory / CONTROL, what, name)


def wait_pid(directory: Path, name: str, *, other_than: str = "") -> str:
    wait_for(lambda: ask(directory, "pid", name) not in {"", other_than}, f"{name} to run")
    return ask(directory, "pid", name)


def test_a_daemon_that_ends_is_started_again(start: Callable[..., Booted], directory: Path) -> None:
    start(Daemon("brief", ("sh", "-c", "echo ran; exit 3")))
    log = directory / "log/brief.log"
    wait_for(lambda: log.exists() and log.read_text().count("ran\n--- ended with status 3\n") >= 2, "a second run")


def test_requests_do_what_they_say(start: Callable[..., Booted], directory: Path) -> None:
    start(Daemon("long", ("sleep", "1000")))
    first = wait_pid(directory, "long")
    assert ask(directory, "kill", "long") == first
    second = wait_pid(directory, "long", other_than=first)
    ask(directory, "stop", "long")
    wait_for(lambda: not ask(directory, "pid", "long"), "it to stop")
    time.sleep(1.5)
    assert ask(directory, "pid", "long") == ""
    ask(directory, "start", "long")
    assert wait_pid(directory, "long") != second


def test_requests_that_cannot_be_are_refused(start: Callable[..., Booted], directory: Path) -> None:
    start(Daemon("long", ("sleep", "1000")))
    with pytest.raises(ClusterError, match="no daemon short here: there are long"):
        ask(directory, "kill", "short")
    with pytest.raises(ClusterError, match="no request maim"):
        ask(directory, "maim", "long")


def test_a_daemon_waits_for_what_it_needs(start: Callable[..., Booted], directory: Path) -> None:
    start(Daemon("late", ("sleep", "1000"), needs=str(directory / "needed")))
    time.sleep(0.5)
    assert ask(directory, "pid", "late") == ""
    (directory / "needed").touch()
    wait_pid(directory, "late")


def test_connections_are_carried_in_and_reset_when_nobody_is_there(
    start: Callable[..., Booted], directory: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        start(Daemon("server", (sys.executable, "-c", SERVER)), listener=listener.fileno())

    def status() -> bytes:
        with socket.create_connection(address, timeout=20) as client, client.makefile("rb") as answer:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return answer.read().split(b"\r\n")[0]

    def answers() -> bool:
        try:
            return status() == b"HTTP/1.0 200 OK"
        except ConnectionError:
            return False

    wait_for(answers, "the server to answer")
    ask(directory, "cut", "server")
    wait_for(lambda: not ask(directory, "pid", "server"), "the server to be gone")
    with pytest.raises(ConnectionResetError):
        status()


def test_a_temporary_machine_ends_with_who_started_it_and_leaves_nothing(directory: Path) -> None:
    long = Daemon("long", ("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"))
    machine = Machine("m", str(directory), (long,), lifeline=True, temporary=True)
    booted = boot(machine, NAMESPACES)
    assert booted.process.stdin is not None
    booted.process.stdin.close()
    booted.process.wait(30)
    assert not Path(f"/proc/{booted.pid}").exists()
    assert not directory.exists()


def test_a_machine_that_does_not_boot_tells_why(directory: Path) -> None:
    with pytest.raises(ClusterError, match=r"machine m does not boot: .*'false'.* ended with 1"):
        boot(Machine("m", str(directory), ()), ["false"])
    with pytest.raises(ClusterError, match="not/a/namespace"):
        boot(Machine("m", str(directory), ()), ["nsenter", "--net=/not/a/namespace"])


def test_a_machine_that_somebody_stopped_ends_all_the_same(directory: Path) -> None:
    booted = boot(Machine("m", str(directory), (Daemon("long", ("sleep", "1000")),)), NAMESPACES)
    os.killpg(booted.process.pid, signal.SIGSTOP)
    booted.end()
    assert booted.process.returncode is not None
