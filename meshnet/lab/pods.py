"""The pods of a lab: sandbox, attachment and commands of each; what runs where."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import time
from typing import TYPE_CHECKING, Any

from meshnet.errors import MeshnetError
from meshnet.lab.pod import Phase, Pod, describe
from meshnet.lab.sandbox import Sandbox
from meshnet.netlink import netns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Executor

    from meshnet.lab.cni_exec import CniRuntime
    from meshnet.lab.containers import Containers
    from meshnet.lab.node import Node
    from meshnet.lab.podspec import PodSpec
    from meshnet.model.topology import PodKey

WORKERS = 2
"""Threads that run plugins. More gain nothing: the daemon takes one ADD after the other."""
START_PATIENCE_S = 30.0
"""Of a start that somebody waits for."""


class Pods:
    """All pods of a lab.

    Args:
        specs: by (namespace, name).
        placement: node of each.
        nodes: by name.
        runtimes: CNI runtime of each node.
        containers: their commands.
        executor: of `WORKERS` threads, for what blocks.
        patience_s: so long may plugins ask to be tried again later, while all pods are attached, or while one is.
    """

    def __init__(
        self,
        specs: Mapping[PodKey, PodSpec],
        placement: Mapping[PodKey, str],
        *,
        nodes: Mapping[str, Node],
        runtimes: Mapping[str, CniRuntime],
        containers: Containers,
        executor: Executor,
        patience_s: float = 30.0,
    ) -> None:
        self._pods = {key: Pod(spec, placement[key]) for key, spec in specs.items()}
        self._nodes = nodes
        self._runtimes = runtimes
        self._containers = containers
        self._executor = executor
        self._patience_s = patience_s
        self._left: list[tuple[str, Sandbox]] = []

    def __iter__(self) -> Iterator[Pod]:
        return iter(self._pods.values())

    def has(self, name: str) -> bool:
        """Tell whether ``NAME`` or ``NAMESPACE/NAME`` means a pod, or several."""
        return bool(self._named(name))

    def find(self, name: str) -> Pod:
        """Return the pod ``NAME`` or ``NAMESPACE/NAME``. Raises MeshnetError."""
        found = self._named(name)
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
        """Attach all pods that have a sandbox and start their commands. `progress` is called in a worker thread.

        One that was restarted before is attached already.
        """
        until = time.monotonic() + self._patience_s
        await self._with_all(lambda pod: self._attach_first(pod, until), progress)

    async def start(self, pod: Pod, node: str | None = None) -> None:
        """Give a pod a new sandbox, attach it, start its commands; on another node than before with `node`.

        A daemon that is away is waited for, as a kubelet does: it may be restarting. Raises MeshnetError; the pod is
        then `FAILED`.
        """
        async with pod.lock:
            await self._start(pod, node)

    async def _start(self, pod: Pod, node: str | None) -> None:
        target = self._node(pod, node)
        if pod.sandbox is not None:
            raise MeshnetError(f"pod {pod.spec}: it has a sandbox already, on {pod.node} ({pod.phase.value})")
        pod.node = target.name
        until = time.monotonic() + min(self._patience_s, START_PATIENCE_S)
        await self._in_thread(lambda: self._make_sandbox(pod))
        await self._in_thread(lambda: self._attach_first(pod, until))
        if pod.phase is Phase.FAILED:
            raise MeshnetError(f"pod {pod.spec}: {pod.message}")

    async def stop(self, pod: Pod) -> None:
        """End a pod's commands, detach it and let go of its sandbox. A stopped pod stays so.

        Raises MeshnetError: nothing was done when its node's daemon does not answer; otherwise the pod is `FAILED`, and
        what is left of it can be stopped again.
        """
        async with pod.lock:
            await self._stop(pod)

    async def _stop(self, pod: Pod) -> None:
        if pod.sandbox is not None:
            await self._in_thread(self._nodes[pod.node].refuse_silent)
            await self._containers.stop(pod.spec)
            await self._in_thread(lambda: self._detach(pod))
        pod.phase = Phase.STOPPED
        pod.message = ""

    async def restart(self, pod: Pod, node: str | None = None, *, force: bool = False) -> None:
        """Stop a pod and start it again, elsewhere with `node`; as it was when a daemon that it needs does not answer.

        With `force` the old sandbox is left as it is, as when its node is lost: `delete_left` is for later. Of several
        at once each does all of it, one after the other.

        Raises MeshnetError.
        """
        async with pod.lock:
            await self._in_thread(self._node(pod, node).refuse_silent)
            await (self._leave(pod) if force else self._stop(pod))
            await self._start(pod, node)

    async def _leave(self, pod: Pod) -> None:
        if pod.sandbox is not None:
            await self._containers.stop(pod.spec)
            self._left.append((pod.node, pod.sandbox))
            pod.sandbox = None
            pod.phase = Phase.STOPPED

    async def delete_left(self, node: str) -> None:
        """Delete the sandboxes that were left on a node, as the kubelet does when it is back. Raises MeshnetError."""
        while each := next((each for each in self._left if each[0] == node), None):
            self._left.remove(each)
            try:
                await self._in_thread(functools.partial(self._delete, node, each[1]))
            except MeshnetError:
                self._left.append(each)
                raise

    def describe(self, pod: Pod) -> dict[str, Any]:
        """Return a pod as a document for the command line."""
        return describe(pod, self._containers.of(pod.spec))

    def _named(self, name: str) -> list[Pod]:
        return [pod for pod in self._pods.values() if name in {pod.spec.name, str(pod.spec)}]

    def _node(self, pod: Pod, wanted: str | None) -> Node:
        """Return the node where a pod is to run: the one wanted, else its own. Raises MeshnetError."""
        name = pod.node if wanted is None else wanted
        if name not in self._nodes:
            raise MeshnetError(f"node {name!r}: not in this lab (nodes: {', '.join(self._nodes)})")
        return self._nodes[name]

    async def _in_thread(self, function: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def _with_all(self, function: Callable[[Pod], None], progress: Callable[[Pod], None]) -> None:
        """Call both with each pod, in worker threads. Who wants to start or stop one meanwhile waits."""
        turns = iter(tuple(self._pods.values()))

        def work() -> None:
            # advancing one shared iterator is atomic; a job a pod would cost a thread switch each
            for pod in turns:
                function(pod)
                progress(pod)

        loop = asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as held:
            for pod in self:
                await held.enter_async_context(pod.lock)
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
        pod.message = ""

    def _attach_first(self, pod: Pod, until: float) -> None:
        """Attach a pod that has a new sandbox, and start its commands; a pod that cannot be is `FAILED`."""
        sandbox = pod.sandbox
        if sandbox is None or pod.phase is not Phase.STARTING:
            return
        node = self._nodes[pod.node]
        try:
            with netns.entered(node.netns_fd):
                # a daemon that has ended will not answer later either
                self._runtimes[pod.node].add(
                    sandbox.attachment, lambda: node.pid is not None and time.monotonic() < until
                )
            self._start_commands(pod, sandbox)
        except (MeshnetError, OSError) as error:
            self._fail(pod, error)
            sandbox.remove()
            pod.sandbox = None
            return
        pod.phase = Phase.RUNNING

    def _start_commands(self, pod: Pod, sandbox: Sandbox) -> None:
        """Start the commands of a pod that is attached; one that cannot have them is detached again."""
        try:
            self._containers.begin(pod.spec.on(pod.node), sandbox)
        except (MeshnetError, OSError):
            with contextlib.suppress(MeshnetError):
                self._delete(pod.node, sandbox)
            raise

    def _detach(self, pod: Pod) -> None:
        sandbox = pod.sandbox
        assert sandbox is not None
        try:
            self._delete(pod.node, sandbox)
        except MeshnetError as error:
            self._fail(pod, error)
            raise MeshnetError(f"pod {pod.spec}: {error}") from error
        pod.sandbox = None

    def _delete(self, node: str, sandbox: Sandbox) -> None:
        with netns.entered(self._nodes[node].netns_fd):
            self._runtimes[node].delete(sandbox.attachment)
        sandbox.remove()

    def _fail(self, pod: Pod, error: Exception) -> None:
        pod.phase = Phase.FAILED
        pod.message = str(error)
