"""Starts the pods' processes: one single-threaded process, forked while the supervisor has no other thread.

Its mounts are those of the box without the names of the pods' network namespaces: a pod's mounts are copied from
them, which with a thousand names would cost several times as much.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from meshnet.errors import MeshnetError
from meshnet.lab import syscalls
from meshnet.lab.podroot import enter_pod_root

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.lab.channel import Channel
    from meshnet.lab.podspec import Container, PodSpec

PAUSE = "_pause"
"""Name of the process that only holds a pod's namespaces; no container may be called so."""

_LARGEST = 1 << 16
_NOT_FOUND = 127
_NOT_STARTED = 126


def start_spawner(pods: Mapping[str, PodSpec], others: Channel) -> tuple[int, socket.socket]:
    """Fork the spawner; it knows `pods` by their ``NAMESPACE/NAME``. Return its pid and the socket to talk to it.

    Requests: ``{"pod", "node", "sandbox", "container"}`` with two descriptors, the pod's network namespace and the log.
    Answers: the same with ``"pid"`` when started (or ``"error"``), and with ``"code"`` at its end.

    Args:
        pods: what can be started.
        others: the supervisor's channel, which the spawner must not hold.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = syscalls.fork()
    if pid == 0:
        ours.close()
        others.close()
        try:
            _Spawner(pods, theirs).serve()
        except BaseException as error:  # noqa: BLE001 - a forked process must not run its parent's code
            sys.stderr.write(f"spawner: {error!r}\n")
        os._exit(1)
    theirs.close()
    return pid, ours


class _Spawner:
    def __init__(self, pods: Mapping[str, PodSpec], requests: socket.socket) -> None:
        self._pods = pods
        self._requests = requests
        self._running: dict[int, dict[str, Any]] = {}
        self._starting: dict[int, int] = {}
        syscalls.unshare(syscalls.CLONE_NEWNS)
        self._own_pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._poll = select.poll()

    def serve(self) -> None:
        signals, wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._poll.register(signals, select.POLLIN)
        self._poll.register(self._requests, select.POLLIN)
        while True:
            ready = {fd for fd, _ in self._poll.poll()}
            for fd in ready & self._starting.keys():
                self._started(fd)
            if signals in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(signals, 1 << 16)
                self._reap()
            # last: what it opens may have numbers that were ready, and were closed above
            if self._requests.fileno() in ready:
                data, descriptors, _, _ = socket.recv_fds(self._requests, _LARGEST, 2, socket.MSG_CMSG_CLOEXEC)
                if not data:
                    return
                self._start(json.loads(data), descriptors)

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        try:
            pid, reading = self._forked(request, descriptors)
        except (OSError, MeshnetError) as error:
            self._answer({**request, "error": str(error)})
            return
        finally:
            for fd in descriptors:
                os.close(fd)
        self._running[pid] = request
        self._starting[reading] = pid
        self._poll.register(reading, select.POLLIN)

    def _forked(self, request: dict[str, Any], descriptors: list[int]) -> tuple[int, int]:
        """Return the pid of a child that becomes what is requested, and a pipe that ends when it has."""
        pod = self._pods[request["pod"]].on(request["node"])
        reading, writing = os.pipe2(os.O_CLOEXEC)
        try:
            return self._fork(pod, request["container"], descriptors), reading
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)

    def _fork(self, pod: PodSpec, container: str, descriptors: list[int]) -> int:
        # only the next child is in the new namespace, where it is the first process
        syscalls.unshare(syscalls.CLONE_NEWPID)
        pid = -1
        try:
            pid = syscalls.fork()
        finally:
            if pid != 0:
                syscalls.setns(self._own_pid_namespace, syscalls.CLONE_NEWPID)
        if pid == 0:
            _become(pod, next((each for each in pod.containers if each.name == container), None), descriptors)
        return pid

    def _started(self, fd: int) -> None:
        """A child has closed its end of the pipe: its namespaces are complete, and it runs its own program."""
        pid = self._starting.pop(fd)
        self._poll.unregister(fd)
        os.close(fd)
        self._answer({**self._running[pid], "pid": pid})

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            for fd in [fd for fd, starting in self._starting.items() if starting == pid]:
                self._started(fd)
            code = os.waitstatus_to_exitcode(status)
            self._answer({**self._running.pop(pid), "pid": pid, "code": code})

    def _answer(self, message: Mapping[str, Any]) -> None:
        self._requests.send(json.dumps(message).encode())


def _become(pod: PodSpec, container: Container | None, descriptors: list[int]) -> NoReturn:
    """Turn this forked process into a container of a pod, or into the holder of its namespaces."""
    try:
        netns, log = descriptors
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        signal.set_wakeup_fd(-1)
        # who started the lab, as a script in the background, may have had any of them ignored
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        syscalls.setns(netns, syscalls.CLONE_NEWNET)
        enter_pod_root(pod, container)
        os.closerange(3, 1 << 16)
        if container is None:
            _pause()
        os.chdir(container.directory or "/")
        _run(container.argv, environment(pod, container))
    except BaseException as error:  # noqa: BLE001 - a forked process must not run its parent's code
        _give_up(str(error) or repr(error), _NOT_STARTED)


def _run(argv: tuple[str, ...], env: Mapping[str, str]) -> NoReturn:
    try:
        os.execvpe(argv[0], argv, env)  # noqa: S606 - a list, never a shell
    except OSError as error:
        # the error itself names the last directory of the search path
        _give_up(f"{argv[0]}: {error.strerror}", _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_STARTED)


def _pause() -> NoReturn:
    # children of commands that were run in this pod end up here
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        signal.pause()


def _give_up(why: str, code: int) -> NoReturn:
    try:
        os.write(2, f"meshnet: cannot start it: {why}\n".encode(errors="replace"))
    finally:
        os._exit(code)  # also where there is no room for that


def environment(pod: PodSpec, container: Container | None) -> dict[str, str]:
    """Return the environment of a pod's process: the machine's search path, the pod's name, what the manifest sets."""
    base = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/root",
        "HOSTNAME": pod.hostname,
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
    return base | dict(container.env if container else {})
