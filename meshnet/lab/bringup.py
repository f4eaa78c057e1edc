"""Bringing a lab up: topologies into the store, sandboxes, ADDs once the daemons are there, and then the links."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from meshnet.errors import MeshnetError
from meshnet.lab.node import START_TIMEOUT_S
from meshnet.lab.places import STORE
from meshnet.lab.pod import Phase
from meshnet.lab.progress import Summary, expected_endpoints, summarize
from meshnet.stores.open import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from meshnet.lab.node import Node
    from meshnet.lab.plan import LabPlan
    from meshnet.lab.pod import Pod
    from meshnet.lab.pods import Pods

    Tell = Callable[[dict[str, Any]], None]

T = TypeVar("T")

FIRST_LOOK_S = 0.005
LONGEST_LOOK_S = 0.25


class BringUp:
    """One lab's way up. Every step blocks only worker threads or shortly.

    Args:
        plan: what to bring up.
        nodes: in the order of the plan, with daemons that are starting.
        pods: of the plan.
        executor: for what blocks.
        tell: takes the progress, from any thread.
    """

    def __init__(self, plan: LabPlan, nodes: Sequence[Node], pods: Pods, executor: Executor, tell: Tell) -> None:
        self._plan = plan
        self._nodes = nodes
        self._pods = pods
        self._executor = executor
        self._tell = tell
        self._done = 0

    async def run(self) -> dict[str, Any]:
        """Bring everything up and return the report. Raises MeshnetError when there is no lab to speak of."""
        started = time.monotonic()
        store = open_store(STORE)
        try:
            sandboxes = asyncio.ensure_future(self._pods.make_sandboxes())
            try:
                await store.apply_all(self._plan.topologies)
            finally:
                await sandboxes
        finally:
            await store.close()
        start_s = max(START_TIMEOUT_S, self._plan.wait_s)
        await asyncio.gather(*(self._in_thread(partial(node.wait_ready, start_s)) for node in self._nodes))
        self._tell({"step": "pods", "done": 0, "of": len(self._plan.pods)})
        await self._pods.attach_all(self._count)
        running = {pod.spec.key for pod in self._pods if pod.phase is Phase.RUNNING}
        expected = expected_endpoints(self._plan.topologies, running)
        summary = await self._wait(expected)
        return await self._report(summary, expected, time.monotonic() - started)

    def _count(self, _pod: Pod) -> None:
        self._done += 1
        if self._done % 16 == 0:
            self._tell({"step": "pods", "done": self._done, "of": len(self._plan.pods)})

    async def _wait(self, expected: int) -> Summary:
        """Look until all links are as they should be, or the time is over; the kernel is asked only by the daemons."""
        deadline = time.monotonic() + self._plan.wait_s
        pause = FIRST_LOOK_S
        while True:
            summary = await self._in_thread(lambda: summarize(self._nodes))
            self._tell({"step": "links", "done": summary.up + summary.down, "of": expected})
            if summary.settled(expected) or time.monotonic() > deadline:
                return summary
            await asyncio.sleep(pause)
            pause = min(LONGEST_LOOK_S, pause * 1.5)

    async def _report(self, summary: Summary, expected: int, seconds: float) -> dict[str, Any]:
        pods = [self._pods.describe(pod) for pod in self._pods if pod.phase is not Phase.RUNNING]
        settled = summary.settled(expected)
        links = [] if settled else await self._in_thread(self._links_not_up)
        return {
            "step": "up",
            "ok": settled and not pods,
            "endpoints": expected,
            "up": summary.up,
            "down": summary.down,
            "seconds": round(seconds, 3),
            "pods": pods,
            "links": links,
            "silent": list(summary.silent),
        }

    def _links_not_up(self) -> list[dict[str, Any]]:
        links: list[dict[str, Any]] = []
        for node in self._nodes:
            try:
                links += node.ask("links", timeout_s=30.0).get("links", ())
            except MeshnetError:
                continue
        return [link for link in links if link.get("state") not in {"Up", "Down"}]

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)
