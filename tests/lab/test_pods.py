"""The pods of a lab, with sandboxes and plugins that only count."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import attrs
import pytest

from meshnet.errors import MeshnetError
from meshnet.lab import pods
from meshnet.lab.pod import Phase, Pod
from meshnet.lab.pods import Pods
from meshnet.lab.podspec import PodSpec

POD = PodSpec("default", "r1", "r1")


@attrs.define
class Machine:
    """What was done with sandboxes, in order."""

    done: list[str] = attrs.field(factory=list)
    slow: float = 0.0
    slow_make: float = 0.0

    def sandbox(self, _spec: PodSpec) -> SimpleNamespace:
        def note(word: str):
            return lambda *_: self.done.append(word)

        return SimpleNamespace(make=self.make, remove=note("removed"), attachment=None)

    @property
    def runtime(self) -> SimpleNamespace:
        return SimpleNamespace(
            add=self.add,
            delete=lambda *_: self.done.append("DEL"),
        )

    def make(self) -> None:
        time.sleep(self.slow_make)
        self.done.append("made")

    def add(self, *_: object) -> None:
        time.sleep(self.slow)
        self.done.append("ADD")

    async def end_commands(self, _spec: PodSpec) -> None:
        await asyncio.sleep(0.01)


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(pods, "Sandbox", machine.sandbox)
    monkeypatch.setattr(pods.netns, "entered", lambda _fd: contextlib.nullcontext())
    return machine


@pytest.fixture
def lab(machine):
    with ThreadPoolExecutor(pods.WORKERS) as executor:
        node = SimpleNamespace(name="n1", pid=1, netns_fd=-1, refuse_silent=lambda: None)
        containers = SimpleNamespace(begin=lambda *_: None, stop=machine.end_commands)
        yield Pods(
            {POD.key: POD},
            {POD.key: "n1"},
            nodes={"n1": node},
            runtimes={"n1": machine.runtime},
            containers=containers,
            executor=executor,
        )


@pytest.mark.parametrize("force", [False, True])
def test_restarts_at_once_come_one_after_the_other(lab, machine, force):
    async def run() -> None:
        pod = lab.find("r1")
        await lab.start(pod)
        await asyncio.gather(*(lab.restart(pod, force=force) for _ in range(4)))
        assert pod.phase is Phase.RUNNING

    asyncio.run(run())
    assert machine.done.count("ADD") == 5
    assert machine.done.count("DEL") == (0 if force else 4)


def test_what_was_left_on_a_node_is_deleted_once_by_whoever_comes(lab, machine):
    async def run() -> None:
        pod = lab.find("r1")
        await lab.start(pod)
        for _ in range(4):
            await lab.restart(pod, force=True)
        await asyncio.gather(*(lab.delete_left("n1") for _ in range(2)))

    asyncio.run(run())
    assert machine.done.count("DEL") == 4


def test_pod_that_runs_is_not_started_again(lab):
    async def run() -> None:
        await lab.start(lab.find("r1"))
        with pytest.raises(MeshnetError, match="it has a sandbox already, on n1"):
            await lab.start(lab.find("r1"))

    asyncio.run(run())


def test_pod_that_is_restarted_while_all_are_attached_is_attached_before(lab, machine):
    """By a command that comes while the lab is on its way up."""

    async def run() -> None:
        pod = lab.find("r1")
        await lab.make_sandboxes()
        machine.slow = 0.2
        up = asyncio.ensure_future(lab.attach_all(lambda _: None))
        await asyncio.sleep(0.05)
        await asyncio.gather(up, lab.restart(pod))
        assert (pod.phase, pod.sandbox is not None) == (Phase.RUNNING, True)

    asyncio.run(run())
    assert machine.done == ["made", "ADD", "DEL", "removed", "made", "ADD"]


def test_pod_that_was_restarted_before_all_are_attached_is_not_attached_again(lab, machine):
    async def run() -> None:
        await lab.make_sandboxes()
        await lab.restart(lab.find("r1"))
        await lab.attach_all(lambda _: None)

    asyncio.run(run())
    assert machine.done == ["made", "DEL", "removed", "made", "ADD"]


def test_pod_whose_commands_cannot_be_started_is_detached(lab, machine):
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    lab._containers.begin = no_room

    async def run() -> None:
        with pytest.raises(MeshnetError, match=r"pod default/r1: .*No space left on device"):
            await lab.start(lab.find("r1"))

    asyncio.run(run())
    assert machine.done[:3] == ["made", "ADD", "DEL"]


async def coming_up(lab, machine):
    """Return what ends when all sandboxes are made, which has just begun."""
    machine.slow_make = 0.2
    up = asyncio.ensure_future(lab.make_sandboxes())
    await asyncio.sleep(0.05)
    return up


def test_pod_that_is_started_while_all_sandboxes_are_made_has_one(lab, machine):
    """By a command that comes first of all."""

    async def run() -> None:
        pod = lab.find("r1")
        up = await coming_up(lab, machine)
        with pytest.raises(MeshnetError, match="it has a sandbox already"):
            await lab.start(pod)
        await up
        await lab.attach_all(lambda _: None)

    asyncio.run(run())
    assert machine.done == ["made", "ADD"]


def test_pod_that_is_stopped_while_all_sandboxes_are_made_stays_so(lab, machine):
    async def run() -> None:
        pod = lab.find("r1")
        up = await coming_up(lab, machine)
        await lab.stop(pod)
        await up
        await lab.attach_all(lambda _: None)
        assert pod.phase is Phase.STOPPED

    asyncio.run(run())
    assert machine.done == ["made", "DEL", "removed"]


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_a_node_with_an_empty_name_is_none_of_the_lab(lab, verb):
    """As a variable is that is not set."""

    async def run() -> None:
        with pytest.raises(MeshnetError, match="node '': not in this lab"):
            await getattr(lab, verb)(lab.find("r1"), "")

    asyncio.run(run())


@pytest.mark.parametrize("failing", ["add", "delete"])
def test_pod_that_has_failed_and_is_stopped_is_stopped(lab, monkeypatch, failing):
    def refuse(*_: object) -> None:
        raise MeshnetError("refused")

    async def start_and_stop(pod: Pod) -> None:
        await lab.start(pod)
        await lab.stop(pod)

    async def run() -> None:
        pod = lab.find("r1")
        with monkeypatch.context() as patch:
            patch.setattr(lab._runtimes["n1"], failing, refuse)
            with pytest.raises(MeshnetError, match="refused"):
                await start_and_stop(pod)
        assert (pod.phase, pod.message) == (Phase.FAILED, "refused")
        await lab.stop(pod)
        assert (pod.phase, pod.message, pod.sandbox) == (Phase.STOPPED, "", None)

    asyncio.run(run())
