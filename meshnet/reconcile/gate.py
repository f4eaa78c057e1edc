"""The readiness gate of pods: a condition of the pod itself that says whether its links are ready.

A pod that names it in `spec.readinessGates` gets traffic of Services only once its links are up. Off by default: a
daemon needs the right to write the status of pods for it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from meshnet.backoff import doubling
from meshnet.errors import InvalidObject, NotFound, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.reconcile.sandbox import Sandbox

log = logging.getLogger(__name__)

CONDITION = "networkop.co.uk/links"
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
COPIED = ("status", "reason", "message", "lastTransitionTime")
LOST = {"status": "False", "reason": "TopologyMissing", "message": "the pod's Topology was deleted"}
"""Since when is not known to a daemon that was started later: the cluster has it."""


class PodWriter(Protocol):
    """Writes conditions of pods."""

    async def set_pod_condition(self, namespace: str, pod: str, pod_uid: str, condition: Mapping[str, Any]) -> None:
        """See `meshnet.stores.cluster`."""


@attrs.define(eq=False)
class _Told:
    """What is told of one sandbox's pod: what shall stand there, what does, and who sees to it."""

    wanted: Mapping[str, Any]
    stands: Mapping[str, Any] | None = None
    task: asyncio.Task[None] | None = None

    @property
    def due(self) -> bool:
        """Whether the pod does not know yet. Why it is not ready may change often, and is in its Topology."""
        return self.stands is None or self.stands["status"] != self.wanted["status"]


class ReadinessGate:
    """Writes the condition of pods on this node: once when it changes, and again until the cluster has taken it."""

    def __init__(self, writer: PodWriter) -> None:
        self._writer = writer
        self._told: dict[Sandbox, _Told] = {}

    def tell(self, sandbox: Sandbox, status: Mapping[str, Any]) -> None:
        """Take note of what stands as the status of a pod's Topology."""
        ready = next(row for row in status["conditions"] if row["type"] == "Ready")
        self._want(sandbox, {"type": CONDITION, **{name: ready[name] for name in COPIED}})

    def lose(self, sandbox: Sandbox) -> None:
        """Take note that the Topology of a pod was deleted, and every link of it unplugged."""
        self._want(sandbox, {"type": CONDITION, **LOST})

    def _want(self, sandbox: Sandbox, wanted: Mapping[str, Any]) -> None:
        told = self._told.setdefault(sandbox, _Told(wanted))
        told.wanted = wanted
        if told.task is None and told.due:
            name = f"readiness gate of {sandbox.namespace}/{sandbox.pod}"
            told.task = asyncio.get_running_loop().create_task(self._write(sandbox, told), name=name)

    def forget(self, sandbox: Sandbox) -> None:
        """Write nothing more for a sandbox, which is gone or has lost its pod."""
        told = self._told.pop(sandbox, None)
        if told is not None and told.task is not None:
            told.task.cancel()

    def close(self) -> None:
        for sandbox in list(self._told):
            self.forget(sandbox)

    async def _write(self, sandbox: Sandbox, told: _Told) -> None:
        try:
            await self._write_until_told(sandbox, told)
        finally:
            told.task = None

    async def _write_until_told(self, sandbox: Sandbox, told: _Told) -> None:
        delays = doubling(FIRST_DELAY_S, LONGEST_DELAY_S)
        while told.due:
            condition = told.wanted
            try:
                await self._writer.set_pod_condition(sandbox.namespace, sandbox.pod, sandbox.pod_uid, condition)
            except (NotFound, InvalidObject):
                return  # the pod is gone, or another has its name by now; its own sandbox's end is on its way
            except StoreError as error:
                log.warning("readiness gate of %s/%s is not written yet: %s", sandbox.namespace, sandbox.pod, error)
                await asyncio.sleep(next(delays))
            else:
                told.stands = condition
