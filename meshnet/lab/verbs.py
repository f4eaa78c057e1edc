"""What the commands may ask a running lab for, over its socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import MeshnetError
from meshnet.lab.containers import log_path
from meshnet.lab.spawner import PAUSE, environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from concurrent.futures import Executor

    from meshnet.lab.containers import Containers
    from meshnet.lab.node import Node
    from meshnet.lab.plan import LabPlan
    from meshnet.lab.pods import Pod, Pods

POD_NAMESPACES = ("net", "uts", "ipc", "pid", "mnt")


@attrs.frozen
class Reply:
    """An answer: JSON, and descriptors, which are closed once they are sent."""

    document: Mapping[str, Any]
    descriptors: tuple[int, ...] = ()


class Verbs:
    """Carries out requests on the event loop. Each raises MeshnetError when it did not become true."""

    def __init__(
        self, plan: LabPlan, nodes: Mapping[str, Node], pods: Pods, containers: Containers, executor: Executor
    ) -> None:
        self._plan = plan
        self._nodes = nodes
        self._pods = pods
        self._containers = containers
        self._executor = executor
        self._verbs: dict[str, Callable[[Mapping[str, Any]], Awaitable[Reply]]] = {
            "status": self._status,
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
            "node": self._node,
            "enter": self._enter,
            "logs": self._logs,
        }

    async def run(self, request: Mapping[str, Any]) -> Reply:
        """Carry out one request: its ``verb``, and what that verb takes."""
        verb = self._verbs.get(str(request.get("verb")))
        if verb is None:
            raise MeshnetError(f"lab: request {request.get('verb')!r}: must be one of {', '.join(self._verbs)}")
        return await verb(request)

    async def _status(self, _request: Mapping[str, Any]) -> Reply:
        nodes = [
            {"name": node.name, "daemon": node.condition(), "pid": node.pid, "isolated": node.isolated}
            for node in self._nodes.values()
        ]
        pods = [self._pods.describe(pod) for pod in self._pods]
        return Reply({"name": self._plan.name, "nodes": nodes, "pods": pods})

    async def _start(self, request: Mapping[str, Any]) -> Reply:
        pod = self._pod(request)
        await self._pods.start(pod)
        return Reply(self._pods.describe(pod))

    async def _stop(self, request: Mapping[str, Any]) -> Reply:
        pod = self._pod(request)
        await self._pods.stop(pod)
        return Reply(self._pods.describe(pod))

    async def _restart(self, request: Mapping[str, Any]) -> Reply:
        pod = self._pod(request)
        node = request.get("node")
        await self._pods.restart(pod, str(node) if node is not None else None)
        return Reply(self._pods.describe(pod))

    async def _node(self, request: Mapping[str, Any]) -> Reply:
        name, action = str(request.get("name")), str(request.get("action"))
        node = self._nodes.get(name)
        if node is None:
            raise MeshnetError(f"node {name!r}: not in this lab (nodes: {', '.join(self._nodes)})")
        await asyncio.get_running_loop().run_in_executor(self._executor, _act, node, action)
        return Reply({"name": name, "daemon": node.condition(), "isolated": node.isolated})

    async def _enter(self, request: Mapping[str, Any]) -> Reply:
        """Return descriptors of a pod's namespaces, in the order of `POD_NAMESPACES`, and its environment."""
        pod = self._pod(request)
        pid = await self._containers.holder(pod.spec)
        command = next(iter(pod.spec.commands), None)
        with contextlib.ExitStack() as undo:
            descriptors = []
            for kind in POD_NAMESPACES:
                try:
                    fd = os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
                except OSError as error:
                    raise MeshnetError(f"pod {pod.spec}: its process {pid} has just ended: try again") from error
                descriptors.append(fd)
                undo.callback(os.close, fd)
            undo.pop_all()
        document = {"environment": environment(pod.spec, command), "directory": command.directory if command else ""}
        return Reply(document, tuple(descriptors))

    async def _logs(self, request: Mapping[str, Any]) -> Reply:
        """Return where the output of a pod's commands, or of a node's daemon, is."""
        name = str(request.get("name"))
        if name in self._nodes:
            return Reply({"paths": [str(self._nodes[name].log)]})
        try:
            pod = self._pods.find(name)
        except MeshnetError as error:
            raise MeshnetError(f"{error}, and no node either (nodes: {', '.join(self._nodes)})") from None
        names = [container.name for container in pod.spec.commands] or [PAUSE]
        return Reply({"paths": [str(log_path(pod.spec, each)) for each in names]})

    def _pod(self, request: Mapping[str, Any]) -> Pod:
        return self._pods.find(str(request.get("pod")))


def _act(node: Node, action: str) -> None:
    if action == "start":
        node.start()
        node.wait_ready()
    elif action == "stop":
        node.stop(signal.SIGTERM)
    elif action == "kill":
        node.stop(signal.SIGKILL)
    elif action in {"isolate", "rejoin"}:
        node.set_isolated(action == "isolate")
    else:
        raise MeshnetError(f"node {node.name}: {action!r}: must be start, stop, kill, isolate or rejoin")
