"""One pod of a lab, and how it is."""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshnet.lab.containers import Running
    from meshnet.lab.podspec import PodSpec
    from meshnet.lab.sandbox import Sandbox


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


def describe(pod: Pod, commands: Iterable[Running]) -> dict[str, Any]:
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
            for each in commands
        ],
    }
