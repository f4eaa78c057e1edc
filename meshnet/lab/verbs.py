"""What the commands may ask a running lab for, over its socket."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from meshnet.errors import MeshnetError
from meshnet.lab.containers import log_path
from meshnet.lab.inside import inside_node, inside_pod
from meshnet.lab.nodeverb import act
from meshnet.lab.reply import Reply
from meshnet.lab.spawner import PAUSE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from concurrent.futures import Executor

    from meshnet.lab.containers import Containers
    from meshnet.lab.node import Node
    from meshnet.lab.plan import LabPlan
    from meshnet.lab.pod import Pod
    from meshnet.lab.pods import Pods


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
        nodes = [node.describe() for node in self._nodes.values()]
        pods = [self._pods.describe(pod) for pod in self._pods]
        return Reply({"name": self._plan.name, "nodes": nodes, "pods": pods})

    async def _start(self, request: Mapping[str, Any]) -> Reply:
        pod = self._pod(request)
        await self._pods.start(pod, request.get("node"))
        return Reply(self._pods.describe(pod))

    async def _stop(self, request: Mapping[str, Any]) -> Reply:
        pod = self._pod(request)
        await self._pods.stop(pod)
        return Reply(self._pods.describe(pod))

    async def _restart(self, request: Mapping[str, Any]) -> Reply:
        pod = self._pod(request)
        await self._pods.restart(pod, request.get("node"), force=request.get("force") == "yes")
        return Reply(self._pods.describe(pod))

    async def _node(self, request: Mapping[str, Any]) -> Reply:
        name, action = str(request.get("name")), str(request.get("action"))
        node = self._nodes.get(name)
        if node is None:
            raise MeshnetError(f"node {name!r}: not in this lab (nodes: {', '.join(self._nodes)})")
        work = functools.partial(act, node, action, str(request.get("direction") or ""))
        await asyncio.get_running_loop().run_in_executor(self._executor, work)
        if action in {"start", "rejoin"} and node.pid is not None:
            await self._pods.delete_left(name)
        return Reply(node.describe())

    async def _enter(self, request: Mapping[str, Any]) -> Reply:
        """Return descriptors of the namespaces of a pod or node, and its environment: see `inside`."""
        name = str(request.get("name"))
        node = self._node_named(name)
        if node is not None:
            return inside_node(node)
        pod = self._find(name)
        pid = await self._containers.holder(pod.spec)
        container = next((each.name for each in self._containers.of(pod.spec) if each.pid == pid), PAUSE)
        return inside_pod(pod.spec.on(pod.node), container, pid)

    async def _logs(self, request: Mapping[str, Any]) -> Reply:
        """Return where the output of a pod's commands, or of a node's daemon, is."""
        name = str(request.get("name"))
        node = self._node_named(name)
        if node is not None:
            return Reply({"paths": [str(node.log)]})
        pod = self._find(name)
        names = [container.name for container in pod.spec.commands] or [PAUSE]
        return Reply({"paths": [str(log_path(pod.spec, each)) for each in names]})

    def _node_named(self, name: str) -> Node | None:
        """Return the node that ``NODE`` or ``node/NODE`` means; None when a pod has that name, or nobody."""
        return None if self._pods.has(name) else self._nodes.get(name.removeprefix("node/"))

    def _find(self, name: str) -> Pod:
        """Return a pod where a node could be meant too. Raises MeshnetError."""
        try:
            return self._pods.find(name)
        except MeshnetError as error:
            raise MeshnetError(f"{error}, and no node either (nodes: {', '.join(self._nodes)})") from None

    def _pod(self, request: Mapping[str, Any]) -> Pod:
        return self._pods.find(str(request.get("pod")))
