"""The processes of pods as the supervisor knows them, with a spawner whose answers the test gives."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess

import pytest

from meshnet.errors import MeshnetError
from meshnet.lab import containers
from meshnet.lab.containers import Containers, _handles
from meshnet.lab.pod import Pod, describe
from meshnet.lab.podspec import Container, PodSpec
from meshnet.lab.spawner import PAUSE
from tests.lab.any_name import any_name

POD = PodSpec("default", "r1", "r1")
WITH_COMMAND = PodSpec("default", "r1", "r1", containers=(Container("main", ("sleep", "1000")),))


class Sandbox:
    """A namespace that is there, or not."""

    def __init__(self, container_id: str) -> None:
        self.container_id = container_id
        self.there = True

    @contextlib.contextmanager
    def opened(self):
        if not self.there:
            raise MeshnetError("its namespace is gone")
        fd = os.open("/proc/self/ns/net", os.O_RDONLY)
        yield fd
        os.close(fd)


class Bench:
    """Containers, and the other end of their socket."""

    def __init__(self) -> None:
        self.ours, self.spawner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.spawner.setblocking(False)
        self.containers = Containers(self.ours)
        self.processes: list[subprocess.Popen[bytes]] = []

    def process(self) -> int:
        self.processes.append(subprocess.Popen(["sleep", "1000"]))
        return self.processes[-1].pid

    def ended(self, pid: int) -> int:
        """How a process was ended; fails when it was not."""
        return next(each for each in self.processes if each.pid == pid).wait(5)

    def next_request(self) -> dict[str, str]:
        data, descriptors, _, _ = socket.recv_fds(self.spawner, 1 << 16, 2)
        for fd in descriptors:
            os.close(fd)
        return json.loads(data)

    async def requested(self) -> dict[str, str]:
        """The next request, when there is one."""
        while True:
            with contextlib.suppress(BlockingIOError):
                return self.next_request()
            await asyncio.sleep(0.001)

    def nothing_is_requested(self) -> bool:
        try:
            return not self.spawner.recv(1 << 16)
        except BlockingIOError:
            return True

    def answer(self, request: dict[str, str], **more: object) -> None:
        self.spawner.send(json.dumps({**request, **more}).encode())
        self.containers.on_answer()

    def holder(self, pod: PodSpec = POD) -> asyncio.Task[int]:
        return asyncio.ensure_future(self.containers.holder(pod))


@pytest.fixture
def bench(monkeypatch, tmp_path):
    monkeypatch.setattr(containers, "LOGS", tmp_path)
    monkeypatch.setattr(containers, "START_TIMEOUT_S", 1.0)
    bench = Bench()
    yield bench
    bench.ours.close()
    bench.spawner.close()
    for process in bench.processes:
        process.kill()
        process.wait()


def test_who_comes_second_waits_for_the_same_holder(bench):
    async def run() -> None:
        bench.containers.begin(POD, Sandbox("c1"))
        calls = [bench.holder(), bench.holder()]
        request = await bench.requested()
        calls.append(bench.holder())
        await asyncio.sleep(0.05)
        assert bench.nothing_is_requested()
        pid = bench.process()
        bench.answer(request, pid=pid)
        assert await asyncio.gather(*calls) == [pid] * 3
        assert await bench.holder() == pid
        assert bench.containers.of(POD) == []  # it is no command of the pod

    asyncio.run(run())


def test_who_comes_after_a_failure_tries_again(bench):
    async def run() -> None:
        sandbox = Sandbox("c1")
        bench.containers.begin(POD, sandbox)
        sandbox.there = False
        for outcome in await asyncio.gather(bench.holder(), bench.holder(), return_exceptions=True):
            assert "its namespace is gone" in str(outcome)
            assert isinstance(outcome, MeshnetError)
        sandbox.there = True
        calls = [bench.holder(), bench.holder()]
        bench.answer(await bench.requested(), error="no memory")
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert "no memory" in str(outcome)
        call = bench.holder()
        pid = bench.process()
        bench.answer(await bench.requested(), pid=pid)
        assert await call == pid

    asyncio.run(run())


def test_holder_that_ended_is_replaced(bench):
    async def run() -> None:
        bench.containers.begin(POD, Sandbox("c1"))
        call = bench.holder()
        request = await bench.requested()
        first, second = bench.process(), bench.process()
        bench.answer(request, pid=first)
        assert await call == first
        bench.answer(request, pid=first, code=-9)
        call = bench.holder()
        bench.answer(await bench.requested(), pid=second)
        assert await call == second

    asyncio.run(run())


def test_late_holder_is_that_of_the_next_call(bench, monkeypatch):
    monkeypatch.setattr(containers, "START_TIMEOUT_S", 0.05)

    async def run() -> None:
        bench.containers.begin(POD, Sandbox("c1"))
        with pytest.raises(MeshnetError, match="not ready"):
            await bench.holder()
        call = bench.holder()
        request = await bench.requested()
        await asyncio.sleep(0.01)
        assert bench.nothing_is_requested()
        pid = bench.process()
        bench.answer(request, pid=pid)
        assert await call == pid

    asyncio.run(run())


@pytest.mark.parametrize("again", [False, True])
def test_pod_that_is_stopped_meanwhile_is_told_at_once_and_keeps_no_holder(bench, again):
    async def run() -> None:
        bench.containers.begin(POD, Sandbox("c1"))
        calls = [bench.holder(), bench.holder()]
        request = await bench.requested()
        await bench.containers.stop(POD)
        if again:
            bench.containers.begin(POD, Sandbox("c2"))
            new = bench.holder()
            pid = bench.process()
            bench.answer(await bench.requested(), pid=pid)
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert "stopped meanwhile" in str(outcome)
        late = bench.process()
        bench.answer(request, pid=late)
        assert bench.ended(late) == -signal.SIGKILL
        if again:
            bench.answer(request, pid=late, code=-9)
            assert await new == await bench.holder() == pid
        else:
            with pytest.raises(MeshnetError, match="not started"):
                await bench.holder()

    asyncio.run(run())


def test_what_starts_while_its_pod_is_stopped_is_ended(bench):
    """A command that takes its time to end: meanwhile another one of its pod, that was requested before, starts."""

    async def run() -> None:
        bench.containers.begin(WITH_COMMAND, Sandbox("c1"))
        command = await bench.requested()
        call = bench.holder(WITH_COMMAND)
        request = await bench.requested()
        main, late = bench.process(), bench.process()
        bench.answer(command, pid=main)
        stop = asyncio.ensure_future(bench.containers.stop(WITH_COMMAND))
        await asyncio.sleep(0)
        bench.answer(request, pid=late)
        assert bench.ended(late) == -signal.SIGKILL
        with pytest.raises(MeshnetError, match="stopped meanwhile"):
            await call
        with pytest.raises(MeshnetError, match="is being stopped"):
            await bench.holder(WITH_COMMAND)
        bench.answer(command, pid=main, code=bench.ended(main))
        await stop

    asyncio.run(run())


def test_second_process_of_a_name_is_ended(bench):
    async def run() -> None:
        bench.containers.begin(POD, Sandbox("c1"))
        call = bench.holder()
        request = await bench.requested()
        pid, twin = bench.process(), bench.process()
        bench.answer(request, pid=pid)
        bench.answer(request, pid=twin)
        assert bench.ended(twin) == -signal.SIGKILL
        bench.answer(request, pid=twin, code=-9)
        assert await call == await bench.holder() == pid

    asyncio.run(run())


def test_pod_whose_command_runs_needs_no_holder(bench):
    async def run() -> None:
        bench.containers.begin(WITH_COMMAND, Sandbox("c1"))
        request = await bench.requested()
        assert request["container"] != PAUSE
        pid = bench.process()
        bench.answer(request, pid=pid)
        assert await bench.holder(WITH_COMMAND) == pid

    asyncio.run(run())


def test_container_that_is_called_pause_is_a_command_like_others(bench):
    pod = PodSpec("default", "r1", "r1", containers=(Container("pause", ("sleep", "1000")),))

    async def run() -> None:
        bench.containers.begin(pod, Sandbox("c1"))
        request = await bench.requested()
        pid, holder = bench.process(), bench.process()
        bench.answer(request, pid=pid)
        (running,) = bench.containers.of(pod)
        assert [each["pid"] for each in describe(Pod(pod, "n1"), [running])["commands"]] == [pid]
        running.delays = itertools.repeat(0.05)
        bench.answer(request, pid=pid, code=1)
        call = bench.holder(pod)
        held = await bench.requested()
        assert held["container"] == PAUSE
        bench.answer(held, pid=holder)
        assert await call == holder
        assert (await bench.requested())["container"] == "pause"

    asyncio.run(run())


def test_a_pods_first_process_may_have_any_name():
    with any_name() as process:
        assert _handles(process.pid, signal.SIGTERM)
        assert not _handles(process.pid, signal.SIGHUP)


def test_command_that_could_not_be_started_once_is_tried_again(bench):
    async def run() -> None:
        bench.containers.begin(WITH_COMMAND, Sandbox("c1"))
        (running,) = bench.containers.of(WITH_COMMAND)
        running.delays = itertools.repeat(0.01)
        bench.answer(await bench.requested(), error="start a process: EAGAIN")
        assert running.error
        pid = bench.process()
        async with asyncio.timeout(2):
            bench.answer(await bench.requested(), pid=pid)
        assert (running.pid, running.error, running.restarts) == (pid, "", 1)

    asyncio.run(run())


@pytest.mark.parametrize("soon", [True, False])
def test_no_command_runs_of_a_pod_of_which_one_cannot_be_asked_for(bench, soon):
    """As in a lab whose memory is full: that pod has failed, and nobody would stop what it has."""
    two = PodSpec("default", "r1", "r1", containers=(Container("main", ("true",)), Container("other", ("true",))))
    sandbox, pid = Sandbox("c1"), bench.process()

    @contextlib.contextmanager
    def opened_once():
        with Sandbox("c1").opened() as fd:
            yield fd
        sandbox.opened = gone

    def gone():
        if soon:
            bench.answer(bench.next_request(), pid=pid)
        raise MeshnetError("its namespace is gone")

    async def run() -> None:
        sandbox.opened = opened_once
        with pytest.raises(MeshnetError, match="its namespace is gone"):
            bench.containers.begin(two, sandbox)
        if not soon:
            bench.answer(bench.next_request(), pid=pid)
        assert bench.ended(pid) == -signal.SIGKILL
        assert bench.containers.of(two) == []

    asyncio.run(run())
