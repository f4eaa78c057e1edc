"""The processes of a lab's pods: started by the spawner, started again as their pod's policy says, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.backoff import doubling
from meshnet.errors import MeshnetError
from meshnet.lab.places import RUN
from meshnet.lab.podroot import write_volumes
from meshnet.lab.spawner import PAUSE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.lab.podspec import PodSpec
    from meshnet.lab.sandbox import Sandbox
    from meshnet.model.topology import PodKey

LOGS = RUN / "logs"
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
STEADY_S = 60.0
"""After running this long a command counts as healthy: the next delay is the first again."""
START_TIMEOUT_S = 20.0
KILL_TIMEOUT_S = 10.0


@attrs.define
class Running:
    """One command of a pod, now or as it ended.

    Attributes:
        pid: in the box; None while it does not run.
        code: how it ended last (minus the number of a signal); None when it never did.
        restarts: how often it was started again.
    """

    name: str
    pid: int | None = None
    code: int | None = None
    error: str = ""
    restarts: int = 0
    since: float = 0.0
    delays: Iterator[float] = attrs.field(factory=lambda: doubling(FIRST_DELAY_S, LONGEST_DELAY_S))
    stopping: bool = False
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)


def log_path(pod: PodSpec, container: str) -> Path:
    """Return where the output of a container goes."""
    return LOGS / pod.namespace / pod.name / f"{container}.log"


class Containers:
    """All processes of all pods. On the event loop, but for `request`, which any thread may call."""

    def __init__(self, spawner: socket.socket) -> None:
        self._spawner = spawner
        self._of: dict[PodKey, dict[str, Running]] = {}
        self._sandboxes: dict[PodKey, Sandbox] = {}
        self._specs: dict[str, PodSpec] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, pod: PodSpec) -> list[Running]:
        """Return the commands of a pod."""
        return list(self._of.get(pod.key, {}).values())

    def expect(self, pod: PodSpec, sandbox: Sandbox) -> None:
        """Know a pod, as it is on its node, and its sandbox before its commands are requested; write its volumes.

        For any thread.
        """
        write_volumes(pod)
        self._specs[str(pod)] = pod
        self._of[pod.key] = {container.name: Running(container.name) for container in pod.commands}
        self._sandboxes[pod.key] = sandbox

    def request(self, pod: PodSpec, container: str) -> None:
        """Have a command of an expected pod started; `on_answer` will tell. Blocks shortly; for any thread.

        Raises MeshnetError when its namespace is gone.
        """
        path = log_path(pod, container)
        path.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            sandbox = self._sandboxes[pod.key]
            with sandbox.opened() as netns:
                node = self._specs[str(pod)].node
                message = {"pod": str(pod), "node": node, "container": container, "sandbox": sandbox.container_id}
                socket.send_fds(self._spawner, [json.dumps(message).encode()], [netns, log])
        finally:
            os.close(log)

    def on_answer(self) -> None:
        """Read what the spawner tells."""
        with contextlib.suppress(BlockingIOError):
            while data := self._spawner.recv(1 << 16, socket.MSG_DONTWAIT):
                self._take(json.loads(data))

    async def holder(self, pod: PodSpec) -> int:
        """Return the pid of a process that is in all of a pod's namespaces. Raises MeshnetError.

        A pod whose command does not run gets one that only holds them; one for all who ask meanwhile.
        """
        running = self._of.get(pod.key)
        if running is None:
            raise MeshnetError(f"pod {pod}: it is not started")
        for each in running.values():
            if each.stopping:
                raise MeshnetError(f"pod {pod}: it is being stopped")
            if each.pid is not None:
                return each.pid
        held = running.get(PAUSE)
        if held is None or held.changed.is_set():
            # none was asked for, or it has ended
            held = running[PAUSE] = Running(PAUSE)
            await self._request(pod, held)
        await self._changed(held, START_TIMEOUT_S, f"pod {pod}: its namespaces are not ready")
        if held.stopping:
            raise MeshnetError(f"pod {pod}: it was stopped meanwhile")
        if held.pid is None:
            raise MeshnetError(f"pod {pod}: its namespaces cannot be made: {held.error or log_path(pod, PAUSE)}")
        return held.pid

    async def _request(self, pod: PodSpec, each: Running) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.request, pod, each.name)
        except (MeshnetError, OSError, KeyError) as error:
            self._not_started(pod, each, str(error))

    async def stop(self, pod: PodSpec) -> None:
        """End all commands of a pod, by SIGTERM if they care, and forget them. Raises MeshnetError."""
        running = self._of.get(pod.key, {}).values()
        for each in running:
            each.stopping = True
            if each.pid is None:
                each.changed.set()  # who waits for its start waits in vain
        await asyncio.gather(*(self._end(pod, each) for each in running))
        self._of.pop(pod.key, None)
        self._sandboxes.pop(pod.key, None)

    async def _end(self, pod: PodSpec, each: Running) -> None:
        if each.pid is None:
            return
        pid = each.pid
        each.changed.clear()
        if _handles(pid, signal.SIGTERM):
            _kill(pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pod.grace_s):
                    await each.changed.wait()
        # the first process of a PID namespace takes all others of it along
        while each.pid is not None:
            each.changed.clear()
            _kill(pid, signal.SIGKILL)
            await self._changed(each, KILL_TIMEOUT_S, f"pod {pod}: {each.name} (pid {pid}) survives SIGKILL")

    async def _changed(self, each: Running, timeout_s: float, otherwise: str) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await each.changed.wait()
        except TimeoutError:
            raise MeshnetError(f"{otherwise} after {timeout_s:g} s") from None

    def _take(self, message: dict[str, Any]) -> None:
        pod = self._specs[message["pod"]]
        each = self._find(pod, message)
        if "code" in message:
            if each is not None and each.pid == message["pid"]:
                self._ended(pod, each, int(message["code"]))
        elif "error" in message:
            if each is not None:
                self._not_started(pod, each, str(message["error"]))
        elif each is None or each.stopping or each.pid is not None:
            # its pod was stopped between the request and the start, or one of that name runs
            _kill(int(message["pid"]), signal.SIGKILL)
        else:
            each.pid = int(message["pid"])
            each.error = ""
            each.since = time.monotonic()
            each.changed.set()

    def _find(self, pod: PodSpec, message: dict[str, Any]) -> Running | None:
        sandbox = self._sandboxes.get(pod.key)
        if sandbox is None or sandbox.container_id != message["sandbox"]:
            return None
        return self._of[pod.key].get(message["container"])

    def _ended(self, pod: PodSpec, each: Running, code: int) -> None:
        if time.monotonic() - each.since >= STEADY_S:
            each.delays = doubling(FIRST_DELAY_S, LONGEST_DELAY_S)
        each.pid = None
        each.code = code
        each.changed.set()
        if pod.restart == "Always" or (pod.restart == "OnFailure" and code != 0):
            self._later(pod, each)

    def _not_started(self, pod: PodSpec, each: Running, why: str) -> None:
        each.error = why
        each.changed.set()
        if pod.restart != "Never":  # what is short, as processes or descriptors, may not be so for long
            self._later(pod, each)

    def _later(self, pod: PodSpec, each: Running) -> None:
        if not each.stopping and each.name != PAUSE:
            asyncio.get_running_loop().call_later(next(each.delays), self._again, pod, each)

    def _again(self, pod: PodSpec, each: Running) -> None:
        if each.stopping or self._of.get(pod.key, {}).get(each.name) is not each:
            return  # stopped meanwhile
        each.restarts += 1
        each.changed.clear()
        task = asyncio.get_running_loop().create_task(self._request(pod, each))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _handles(pid: int, number: int) -> bool:
    """Tell whether a process may do something on a signal: the first of a PID namespace ignores it otherwise.

    One that blocks it gets it all the same, and may wait for it, as the small inits of containers do.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_bytes().splitlines()  # its name may be any bytes
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith((b"SigBlk:", b"SigCgt:"))]
    return any(mask >> (number - 1) & 1 for mask in masks) or _waits_for_signals(pid)


def _waits_for_signals(pid: int) -> bool:
    """Tell whether a process is in sigwait(3) or the like: meanwhile what it takes is not shown as blocked."""
    try:
        return "sigtimedwait" in Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return False


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
