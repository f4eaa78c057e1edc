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
    from collections.abc import Iterator, Mapping

    from meshnet.lab.podspec import PodSpec
    from meshnet.lab.sandbox import Sandbox

LOGS = RUN / "logs"
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
STEADY_S = 60.0
"""After running this long a command counts as healthy: the next delay is the first again."""
START_TIMEOUT_S = 20.0
KILL_TIMEOUT_S = 10.0


@attrs.define
class Running:
    """One command of a pod in its sandbox, or the holder of its namespaces, now or as it ended.

    Attributes:
        pod: as it is on its node.
        pid: in the box; None while it does not run.
        code: how it ended last (minus the number of a signal); None when it never did.
        restarts: how often it was started again.
    """

    pod: PodSpec
    sandbox: Sandbox
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
    """All processes of all pods. On the event loop, but for `begin`, which any thread may call."""

    def __init__(self, spawner: socket.socket) -> None:
        self._spawner = spawner
        self._of: dict[str, dict[str, Running]] = {}  # by NAMESPACE/NAME of the pod, then by container
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, pod: PodSpec) -> list[Running]:
        """Return the commands of a pod."""
        return [each for each in self._of.get(str(pod), {}).values() if each.name != PAUSE]

    def begin(self, pod: PodSpec, sandbox: Sandbox) -> None:
        """Write the volumes of a pod, as it is on its node, and have its commands started; `on_answer` will tell.

        Blocks shortly; for any thread. Raises MeshnetError when its namespace is gone, and OSError when there is no
        room: then none of them goes on.
        """
        write_volumes(pod)
        names = (*(container.name for container in pod.commands), PAUSE)
        running = {name: Running(pod, sandbox, name) for name in names}
        running[PAUSE].changed.set()  # nobody waits for it yet
        self._of[str(pod)] = running
        try:
            for container in pod.commands:
                self._send(running[container.name])
        except (MeshnetError, OSError):
            del self._of[str(pod)]  # what starts only now is ended when it tells
            for each in running.values():
                each.stopping = True
                if each.pid is not None:
                    _kill(each.pid, signal.SIGKILL)
            raise

    def _send(self, each: Running) -> None:
        path = log_path(each.pod, each.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            with each.sandbox.opened() as netns:
                place = {"pod": str(each.pod), "node": each.pod.node, "sandbox": each.sandbox.container_id}
                message = {**place, "container": each.name}
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
        running = self._of.get(str(pod))
        if running is None:
            raise MeshnetError(f"pod {pod}: it is not started")
        for each in running.values():
            if each.stopping:
                raise MeshnetError(f"pod {pod}: it is being stopped")
            if each.pid is not None:
                return each.pid
        held = running[PAUSE]
        if held.changed.is_set():
            # none was asked for, or it has ended
            held = running[PAUSE] = Running(held.pod, held.sandbox, PAUSE)
            await self._request(held)
        await self._changed(held, START_TIMEOUT_S, f"pod {pod}: its namespaces are not ready")
        if held.stopping:
            raise MeshnetError(f"pod {pod}: it was stopped meanwhile")
        if held.pid is None:
            raise MeshnetError(f"pod {pod}: its namespaces cannot be made: {held.error or log_path(pod, PAUSE)}")
        return held.pid

    async def _request(self, each: Running) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._send, each)
        except (MeshnetError, OSError) as error:
            self._not_started(each, str(error))

    async def stop(self, pod: PodSpec) -> None:
        """End all commands of a pod, by SIGTERM if they care, and forget them. Raises MeshnetError."""
        running = self._of.get(str(pod), {}).values()
        for each in running:
            each.stopping = True
            if each.pid is None:
                each.changed.set()  # who waits for its start waits in vain
        await asyncio.gather(*(self._end(each) for each in running))
        self._of.pop(str(pod), None)

    async def _end(self, each: Running) -> None:
        if each.pid is None:
            return
        pid = each.pid
        each.changed.clear()
        if _handles(pid, signal.SIGTERM):
            _kill(pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(each.pod.grace_s):
                    await each.changed.wait()
        # the first process of a PID namespace takes all others of it along
        while each.pid is not None:
            each.changed.clear()
            _kill(pid, signal.SIGKILL)
            await self._changed(each, KILL_TIMEOUT_S, f"pod {each.pod}: {each.name} (pid {pid}) survives SIGKILL")

    async def _changed(self, each: Running, timeout_s: float, otherwise: str) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await each.changed.wait()
        except TimeoutError:
            raise MeshnetError(f"{otherwise} after {timeout_s:g} s") from None

    def _take(self, message: dict[str, Any]) -> None:
        each = self._find(message)
        if "code" in message:
            if each is not None and each.pid == message["pid"]:
                self._ended(each, int(message["code"]))
        elif "error" in message:
            if each is not None:
                self._not_started(each, str(message["error"]))
        elif each is None or each.stopping or each.pid is not None:
            # its pod was stopped between the request and the start, or one of that name runs
            _kill(int(message["pid"]), signal.SIGKILL)
        else:
            each.pid = int(message["pid"])
            each.error = ""
            each.since = time.monotonic()
            each.changed.set()

    def _find(self, message: Mapping[str, Any]) -> Running | None:
        each = self._of.get(message["pod"], {}).get(message["container"])
        return each if each is not None and each.sandbox.container_id == message["sandbox"] else None

    def _ended(self, each: Running, code: int) -> None:
        if time.monotonic() - each.since >= STEADY_S:
            each.delays = doubling(FIRST_DELAY_S, LONGEST_DELAY_S)
        each.pid = None
        each.code = code
        each.changed.set()
        if each.pod.restart == "Always" or (each.pod.restart == "OnFailure" and code != 0):
            self._later(each)

    def _not_started(self, each: Running, why: str) -> None:
        each.error = why
        each.changed.set()
        if each.pod.restart != "Never":  # what is short, as processes or descriptors, may not be so for long
            self._later(each)

    def _later(self, each: Running) -> None:
        if not each.stopping and each.name != PAUSE:
            asyncio.get_running_loop().call_later(next(each.delays), self._again, each)

    def _again(self, each: Running) -> None:
        if each.stopping or self._of.get(str(each.pod), {}).get(each.name) is not each:
            return  # stopped meanwhile
        each.restarts += 1
        each.changed.clear()
        task = asyncio.get_running_loop().create_task(self._request(each))
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
