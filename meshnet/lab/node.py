"""A node of a lab: a network namespace with an uplink, and the real daemon in it."""

from __future__ import annotations

import os
import signal
import site
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshnet.cni import client
from meshnet.errors import DaemonUnreachable, MeshnetError
from meshnet.lab import underlay
from meshnet.lab.outcome import outcome
from meshnet.lab.places import NETNS, RUN, STORE
from meshnet.lab.uplink import Cut
from meshnet.netlink import netns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.lab.children import Children
    from meshnet.lab.uplink import Uplink

DAEMON_COMMAND = (sys.executable, "-m", "meshnet", "daemon")
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 5.0
LAST_WORDS = 4096
"""Bytes at the end of a log in which its last line is looked for: a log has no bound."""


class Node:
    """One node; its methods block and are for any thread.

    Args:
        name: of the node.
        number: from 1, for the addresses of its pods.
        uplink: by which it reaches the others.
        children: starts the daemon.
        settings: more environment for the daemon.
    """

    def __init__(self, name: str, number: int, uplink: Uplink, children: Children, settings: Mapping[str, str]) -> None:
        self.name = name
        self.number = number
        self.uplink = uplink
        self.directory = RUN / "nodes" / name
        self._children = children
        self._settings = settings
        self._pid: int | None = None
        self._starting = threading.Lock()
        self._ended = threading.Event()
        self._exit_code: int | None = None
        self.netns_path = NETNS / name
        self.netns_fd = -1

    @property
    def socket(self) -> Path:
        return self.directory / "meshnetd.sock"

    @property
    def log(self) -> Path:
        return self.directory / "daemon.log"

    @property
    def pid(self) -> int | None:
        """Of the daemon in the box; None when it does not run."""
        return None if self._ended.is_set() else self._pid

    def make(self) -> None:
        """Make the namespace and the directories. Raises KernelError."""
        for directory in (self.directory, self.directory / "state", self.directory / "cni"):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        netns.new_netns(str(self.netns_path))
        self.netns_fd = netns.open_netns(str(self.netns_path))
        underlay.prepare_node(self.netns_fd)

    def start(self, environ: Mapping[str, str] = os.environ) -> None:
        """Start the daemon, without waiting for it. Raises MeshnetError when it runs already."""
        with self._starting:
            if self.pid is not None:
                raise MeshnetError(f"node {self.name}: its daemon runs already (pid {self.pid})")
            self._start(environ)

    def _start(self, environ: Mapping[str, str]) -> None:
        env = {
            **{name: value for name, value in environ.items() if not _is_of_another_daemon(name)},
            **_where_this_package_is(environ),
            "HOST_IP": self.uplink.address,
            **self._settings,
            "MESHNET_RUN_DIR": str(self.directory),
            "MESHNET_STATE_DIR": str(self.directory / "state"),
            "MESHNET_STORE": STORE,
            "NODE_NAME": self.name,
        }
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        ended = threading.Event()  # it may be set before the pid is known
        self._pid, self._ended, self._exit_code = None, ended, None
        try:
            with netns.entered(self.netns_fd):
                self._pid = self._children.spawn(
                    DAEMON_COMMAND, env, {0: null, 1: log, 2: log}, lambda code: self._has_ended(ended, code)
                )
        finally:
            os.close(null)
            os.close(log)

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Return when the daemon takes connections. Raises DaemonUnreachable with the end of its log."""
        deadline = time.monotonic() + timeout_s
        while not client.listens(self.socket):
            # nothing tells of a socket file but looking; the daemon's own end is told at once
            if self._ended.wait(0.004):
                raise DaemonUnreachable(f"node {self.name}: its daemon {self.condition()}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise DaemonUnreachable(
                    f"node {self.name}: its daemon does not listen after {timeout_s:g} s: {self.last_words()}"
                )

    def stop(self, signal_number: int = signal.SIGTERM, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the daemon by a signal and wait for its end. Raises MeshnetError when it has none."""
        pid, ended = self.pid, self._ended
        if pid is not None and not self._children.kill(pid, signal_number):
            ended.wait(1.0)  # it has ended, and that is about to be told
            pid = None
        if pid is None:
            raise MeshnetError(f"node {self.name}: its daemon does not run ({self.condition()})")
        if not ended.wait(timeout_s):
            raise MeshnetError(f"node {self.name}: its daemon (pid {pid}) still runs {timeout_s:g} s after a signal")

    def refuse_silent(self) -> None:
        """Raise DaemonUnreachable when the daemon does not answer, with what to do about it.

        To take connections is not enough: the kernel does that for a daemon that hangs, and each plugin would wait for
        its answer for a minute.
        """
        try:
            self.ask("health", ANSWER_TIMEOUT_S)
        except DaemonUnreachable as error:
            advice = f"meshnet lab node {self.name} start" if self.pid is None else f"meshnet lab logs {self.name}"
            told = f"node {self.name}: its daemon {self.condition()}, and does not answer ({advice})"
            raise DaemonUnreachable(told) from error

    def describe(self) -> dict[str, Any]:
        """Return the node as a document for the command line."""
        return {
            "name": self.name,
            "address": self.uplink.address,
            "uplink": self.uplink.name,
            "uplink_state": self.uplink.cut.value,
            "isolated": self.uplink.cut is not Cut.NONE,
            "daemon": self.condition(),
            "pid": self.pid,
        }

    def ask(self, query: str, timeout_s: float = ANSWER_TIMEOUT_S) -> dict[str, Any]:
        """Ask the daemon. Raises DaemonUnreachable, QueryError."""
        answer: dict[str, Any] = client.ask(self.socket, query, timeout_s=timeout_s)
        return answer

    def condition(self) -> str:
        """Return in words how the daemon is."""
        if self.pid is not None:
            return "runs"
        return "was not started" if self._exit_code is None else outcome(self._exit_code)

    def last_words(self) -> str:
        """Return the last line of the daemon's log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LAST_WORDS))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else "it said nothing"

    def _has_ended(self, ended: threading.Event, code: int) -> None:
        self._exit_code = code
        ended.set()


def _is_of_another_daemon(variable: str) -> bool:
    """Tell whether a variable of the caller's tells of a daemon of this machine."""
    return variable.startswith("MESHNET_") or variable == "HOST_INTF"


def _where_this_package_is(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what lets the daemon, which starts in another directory, import the same package as this process."""
    root = str(Path(__file__).parents[2])
    if root in site.getsitepackages():
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, (root, environ.get("PYTHONPATH"))))}
