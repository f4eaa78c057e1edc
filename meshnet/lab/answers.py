"""What commands take from the answers of a lab, which another version may have started: looked at before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.model.fields import Fields, first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMESPACES = 5
"""Descriptors that come with the answer to ``enter``, at least: without one, a command would run somewhere else."""
MOST = 1 << 31


def misshapen(verb: str, answer: object, descriptors: int) -> str:
    """Say what keeps an answer from being used: where, what stands there, what would be right; ``""`` for a good one.

    What no command uses may be anything, as what a later version adds.
    """
    fields = Fields({} if answer is None else answer, "", [])
    if verb in SHAPES:
        SHAPES[verb](fields)
    wrong = first_of(fields.problems)
    if not wrong and verb == "enter" and descriptors < NAMESPACES:
        wrong = f"{descriptors} descriptors: must be {NAMESPACES} or more"
    return wrong


def _status(answer: Fields) -> None:
    answer.text("name")
    _given(answer, "nodes", "pods")
    for node in answer.each("nodes"):
        _node(node)
    for pod in answer.each("pods"):
        _pod(pod)


def _node(node: Fields) -> None:
    for name in ("name", "address", "uplink", "uplink_state", "daemon"):
        node.text(name)
    _number_or_null(node, "pid")


def _pod(pod: Fields) -> None:
    for name in ("namespace", "name", "node", "phase", "message", "netns"):
        pod.text(name)
    _given(pod, "commands")
    for command in pod.each("commands"):
        command.text("name")
        command.text("error")
        _given(command, "restarts")
        command.number("restarts", 0, high=MOST)
        _number_or_null(command, "pid")
        _number_or_null(command, "code")


def _enter(answer: Fields) -> None:
    answer.text("directory")
    _given(answer, "environment")
    environment = answer.inner("environment")
    for name in environment.value:
        environment.text(name)


def _logs(answer: Fields) -> None:
    _given(answer, "paths")
    answer.texts("paths")


def _given(fields: Fields, *names: str) -> None:
    for name in names:
        if not fields.has(name):
            fields.wrong(name, "must be given")


def _number_or_null(fields: Fields, name: str) -> None:
    """Null tells something, too: that there is no process, or no end of one."""
    if name not in fields.value:
        fields.wrong(name, "must be given")
    fields.number(name, 0, low=-MOST, high=MOST)


SHAPES: Mapping[str, Callable[[Fields], None]] = {
    "status": _status,
    "start": _pod,
    "stop": _pod,
    "restart": _pod,
    "node": _node,
    "enter": _enter,
    "logs": _logs,
}
"""What reads the answer to each verb."""
