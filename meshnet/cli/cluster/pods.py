"""The pods of the DaemonSet, as far as commands look at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NAMESPACE = "meshnet"
DAEMONSET = "meshnet"
CONTAINER = "meshnet"
SELECTOR = f"name={DAEMONSET}"


@attrs.frozen
class DaemonPod:
    """A daemon's pod.

    Attributes:
        node: on which it runs, or shall run.
        name: its own.
        running: a command can be run in it.
        ready: it answers its readiness probe.
        condition: how it is, in words: ``Running``, ``ImagePullBackOff: ...``.
    """

    node: str
    name: str
    running: bool
    ready: bool
    condition: str


def daemon_pods(objects: Iterable[Mapping[str, Any]]) -> dict[str, DaemonPod]:
    """Return by node the pod whose daemon is in charge there: one that runs before one that does not, or goes."""
    found: dict[str, DaemonPod] = {}
    for pod in sorted((_read(each) for each in objects), key=lambda pod: (pod.running, pod.ready)):
        if pod.node:
            found[pod.node] = pod
    return found


def _read(document: Mapping[str, Any]) -> DaemonPod:
    status = document.get("status") or {}
    container = _container(status)
    going = bool(document["metadata"].get("deletionTimestamp"))
    return DaemonPod(
        node=str((document.get("spec") or {}).get("nodeName") or ""),
        name=str(document["metadata"]["name"]),
        running="running" in (container.get("state") or {}) and not going,
        ready=bool(container.get("ready")) and not going,
        condition="is being deleted" if going else _condition(status, container),
    )


def _container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    states = status.get("containerStatuses") or ()
    return next((state for state in states if state.get("name") == CONTAINER), {})


def _condition(status: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """Return the most telling thing that the API knows of it."""
    state = container.get("state") or {}
    for how in ("waiting", "terminated"):
        if how in state:
            told = state[how]
            return ": ".join(filter(None, (told.get("reason"), told.get("message")))) or how
    if "running" in state:
        return "Running" if container.get("ready") else "Running, and not ready"
    return ": ".join(filter(None, (status.get("reason") or status.get("phase"), status.get("message")))) or "Unknown"
