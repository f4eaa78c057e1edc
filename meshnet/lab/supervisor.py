"""The supervisor of a lab: brings it up, and keeps it until somebody ends it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

from meshnet.errors import MeshnetError
from meshnet.lab.bringup import BringUp
from meshnet.lab.channel import STAY, ChannelClosed
from meshnet.lab.cni_exec import CniRuntime
from meshnet.lab.containers import LOGS, Containers
from meshnet.lab.logtrim import trim_logs
from meshnet.lab.network import lab_network
from meshnet.lab.places import RUN
from meshnet.lab.plugin_process import PluginProcess
from meshnet.lab.pods import WORKERS, Pods
from meshnet.lab.server import LabServer
from meshnet.lab.spawner import start_spawner
from meshnet.lab.verbs import Verbs

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor

    from meshnet.lab.channel import Channel
    from meshnet.lab.children import Children
    from meshnet.lab.node import Node
    from meshnet.lab.plan import LabPlan

TRIM_EVERY_S = 30.0
SPAWNER_ENDED = 3


def supervise(plan: LabPlan, nodes: Sequence[Node], channel: Channel, children: Children) -> None:
    """Bring the lab of `plan` up, on nodes whose daemons are starting; returns when it is to end."""
    spawner_pid, spawner = start_spawner({str(pod): pod for pod in plan.pods.values()}, channel)
    # without it no pod can be started or stopped: a lab that cannot be trusted is none
    children.watch(spawner_pid, lambda _: os._exit(SPAWNER_ENDED))
    asyncio.run(_Supervisor(plan, nodes, channel, children, spawner).run())


class _Supervisor:
    def __init__(
        self, plan: LabPlan, nodes: Sequence[Node], channel: Channel, children: Children, spawner: socket.socket
    ) -> None:
        self._plan = plan
        self._nodes = nodes
        self._channel = channel
        self._children = children
        self._spawner = spawner
        self._containers = Containers(spawner)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._children.reap)
        self._children.reap()  # a daemon may have ended before that
        loop.add_reader(self._spawner, self._containers.on_answer)
        threads = concurrent.futures.ThreadPoolExecutor
        # a caller that is suspended reads nothing: who tells it how far the lab is may wait, the lab does not
        with threads(WORKERS) as executor, threads(1) as teller:
            by_name = {node.name: node for node in self._nodes}
            pods = self._pods(by_name, executor)
            verbs = Verbs(self._plan, by_name, pods, self._containers, executor)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(LabServer(verbs).serve())
                tasks.create_task(_trim())
                tasks.create_task(self._watch_caller())
                tasks.create_task(self._bring_up(pods, executor, teller))

    def _pods(self, nodes: Mapping[str, Node], executor: Executor) -> Pods:
        plan = self._plan
        process = PluginProcess(self._children, RUN / "plugins.log")
        runtimes = {
            name: CniRuntime(
                lab_network(plan.plugin, plan.primary, node.number, node.directory / "cni"),
                process,
                {"PATH": os.environ.get("PATH", os.defpath), "MESHNET_SOCKET": str(node.socket)},
                node.directory / "cni" / "cache",
            )
            for name, node in nodes.items()
        }
        return Pods(
            plan.pods,
            plan.placement,
            nodes=nodes,
            runtimes=runtimes,
            containers=self._containers,
            executor=executor,
            patience_s=plan.wait_s,
        )

    async def _bring_up(self, pods: Pods, executor: Executor, teller: Executor) -> None:
        def tell(message: dict[str, Any]) -> None:
            teller.submit(self._tell, message)

        try:
            report = await BringUp(self._plan, self._nodes, pods, executor, tell).run()
        except MeshnetError as error:
            report = {"step": "up", "error": str(error)}
        tell(report)

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(ChannelClosed):
            self._channel.send(message)

    async def _watch_caller(self) -> None:
        """End everything when the caller of `lab up` goes before it has got the report."""
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(self._channel, readable.set)
        await readable.wait()
        loop.remove_reader(self._channel)
        try:
            if self._channel.receive() == STAY:
                self._channel.close()
                return
        except ChannelClosed:
            pass
        os._exit(1)


async def _trim() -> None:
    while True:
        await asyncio.sleep(TRIM_EVERY_S)
        trim_logs((LOGS, RUN / "nodes"))
