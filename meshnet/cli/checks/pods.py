"""Which pods of a lab are not as their files ask for: that one runs says nothing of its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.lab.pods import condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


def check_pods(pods: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Return the pods that did not start, and the commands that went wrong; `pods` are as a lab's supervisor has them.

    A pod that was stopped is as it is wanted.
    """
    return [found for pod in pods if pod["phase"] != "Stopped" for found in _of_pod(pod)]


def _of_pod(pod: Mapping[str, Any]) -> Iterator[Finding]:
    name = f"{pod['namespace']}/{pod['name']}"
    if pod["phase"] == "Failed":
        cure = f"mend that, then: meshnet lab restart {name}"
        yield Finding("pods", name, Outcome.FAIL, f"Failed: {pod['message']}", cure)
    for command in pod["commands"]:
        if command["pid"] is None and (command["error"] or command["code"]):
            told = f"its command {command['name']}: {condition(command)}"
            yield Finding("pods", name, Outcome.WARN, told, f"meshnet lab logs {name}; programs are this machine's own")
