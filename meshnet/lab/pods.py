"""The pods of a lab: sandbox, attachment and commands of each; what runs where."""

from __future__ import annotations

import asyncio
import enum
import itertools
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import MeshnetError
from meshnet.lab.sandbox import Sandbox
from meshnet.netlink import netns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Executor

    from meshnet.lab.cni_exec import CniRuntime
    from meshnet.lab.containers import Containers
    from meshnet.lab.node import Node
    from meshnet.lab.podspec import PodSpec

WORKERS = 2
"""Threads that run plugins. More gain nothing: the daemon takes one ADD after the other."""


class Phase(enum.Enum):
    """Where a pod is in its life; the value is what users see."""

    STOPPED = "Stopped"
    STARTING = "Starting"
    RUNNING = "Running"
    FAILED = "Failed"


@attrs.define
class Pod:
    """A pod and what there is of it now.

    Attributes:
        message: why it failed.
        lock: one start or stop at a time.
    """

    spec: PodSpec
    node: str
    sandbox: Sandbox | None = None
    phase: Phase = Phase.STOPPED
    message: str = ""
    lock: asyncio.Lock = attrs.field(factory=asyncio.Lock)


class Pods:
    """All pods of a lab.

    Args:
        specs: by (namespace, name).
        placement: node of each.
        nodes: by name.
        runtimes: CNI runtime of each node.
        containers: their commands.
        executor: of `WORKERS` threads, for what blocks.
    """

    def __init__(
        self,
        specs: Mapping[tuple[str, str], PodSpec],
        placement: Mapping[tuple[str, str], str],
        *,
        nodes: Mapping[str, Node],
        runtimes: Mapping[str, CniRuntime],
        containers: Containers,
        executor: Executor,
    ) -> None:
        self._pods = {key: Pod(spec, placement[key]) for key, spec in specs.items()}
        self._nodes = nodes
        self._runtimes = runtimes
        self._containers = containers
        self._executor = executor

    def __iter__(self) -> Iterator[Pod]:
        return iter(self._pods.values())

    def find(self, name: str) -> Pod:
        """Return the pod ``NAME`` or ``NAMESPACE/NAME``. Raises MeshnetError."""
        found = [pod for pod in self._pods.values() if name in {pod.spec.name, str(pod.spec)}]
        if len(found) == 1:
            return found[0]
        if found:
            raise MeshnetError(f"pod {name!r}: it is in several namespaces: say NAMESPACE/{name}")
        known = ", ".join(itertools.islice((pod.spec.name for pod in self._pods.values()), 20))
        raise MeshnetError(f"pod {name!r}: not in this lab (pods: {known}{', ...' if len(self._pods) > 20 else ''})")

    async def make_sandboxes(self) -> None:
        """Make the namespaces of all pods; a pod that gets none is `FAILED`."""
        await self._with_all(self._make_sandbox, lambda _: None)

    async def attach_all(self, progress: Callable[[Pod], None]) -> None:
        """Attach all pods that have a sandbox and start their commands. `progress` is called in a worker thread."""
        await self._with_all(self._attach_first, progress)

    async def start(self, pod: Pod) -> None:
        """Give a pod a new sandbox, attach it, start its commands. Raises MeshnetError; the pod is then `FAILED`."""
        async with pod.lock:
            if pod.sandbox is not None:
                raise MeshnetError(f"pod {pod.spec}: it is started already, on {pod.node}")
            await self._run(self._make_sandbox, pod)
            await self._run(self._attach_first, pod)
            if pod.phase is Phase.FAILED:
                raise MeshnetError(f"pod {pod.spec}: {pod.message}")

    async def stop(self, pod: Pod) -> None:
        """End a pod's commands, detach it and let go of its sandbox. A stopped pod stays so. Raises MeshnetError."""
        async with pod.lock:
            if pod.sandbox is None:
                return
            await self._containers.stop(pod.spec)
            await self._run(self._detach, pod)

    async def restart(self, pod: Pod, node: str | None) -> None:
        """Stop a pod and start it again, elsewhere with `node`. Raises MeshnetError."""
        if node is not None and node not in self._nodes:
            raise MeshnetError(f"node {node!r}: not in this lab (nodes: {', '.join(self._nodes)})")
        await self.stop(pod)
        pod.node = node or pod.node
        await self.start(pod)

    def describe(self, pod: Pod) -> dict[str, Any]:
        """Return a pod as a document for the command line."""
        return {
            "namespace": pod.spec.namespace,
            "name": pod.spec.name,
            "node": pod.node,
            "phase": pod.phase.value,
            "message": pod.message,
            "netns": str(pod.sandbox.path) if pod.sandbox else "",
            "container_id": pod.sandbox.container_id if pod.sandbox else "",
            "commands": [
                {"name": each.name, "pid": each.pid, "code": each.code, "restarts": each.restarts, "error": each.error}
                for each in self._containers.of(pod.spec)
            ],
        }

    async def _run(self, function: Callable[[Pod], None], pod: Pod) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, function, pod)

    async def _with_all(self, function: Callable[[Pod], None], progress: Callable[[Pod], None]) -> None:
        turns = iter(tuple(self._pods.values()))

        def work() -> None:
            # advancing one shared iterator is atomic; a job a pod would cost a thread switch each
            for pod in turns:
                function(pod)
                progress(pod)

        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._executor, work) for _ in range(WORKERS)))

    def _make_sandbox(self, pod: Pod) -> None:
        sandbox = Sandbox(pod.spec)
        try:
            sandbox.make()
        except MeshnetError as error:
            self._fail(pod, error)
            sandbox.remove()
            return
        pod.sandbox = sandbox
        pod.phase = Phase.STARTING

    def _attach_first(self, pod: Pod) -> None:
        sandbox = pod.sandbox
        if sandbox is None:
            return
        try:
            with netns.entered(self._nodes[pod.node].netns_fd):
                self._runtimes[pod.node].add(sandbox.attachment)
            self._containers.expect(pod.spec, sandbox)
            for container in pod.spec.commands:
                self._containers.request(pod.spec, container.name)
        except (MeshnetError, OSError) as error:
            self._fail(pod, error)
            sandbox.remove()
            pod.sandbox = None
            return
        pod.phase = Phase.RUNNING
        pod.message = ""

    def _detach(self, pod: Pod) -> None:
        sandbox = pod.sandbox
        assert sandbox is not None
        with netns.entered(self._nodes[pod.node].netns_fd):
            self._runtimes[pod.node].delete(sandbox.attachment)
        sandbox.remove()
        pod.sandbox = None
        pod.phase = Phase.STOPPED

    def _fail(self, pod: Pod, error: Exception) -> None:
        pod.phase = Phase.FAILED
        pod.message = str(error)
