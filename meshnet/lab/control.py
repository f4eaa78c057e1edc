"""Asking a running lab, for commands: they have entered its box, or do so now."""

from __future__ import annotations

import socket
from typing import Any

from meshnet.errors import DaemonUnreachable
from meshnet.lab.answers import misshapen
from meshnet.lab.channel import AT_WORK, Channel, ChannelClosed
from meshnet.lab.enter import enter_box
from meshnet.lab.places import CONTROL_SOCKET
from meshnet.lab.record import find_lab
from meshnet.lab.reply import raise_refusal

TIMEOUT_S = 120.0
"""Of silence. What is asked may take longer, as a stop that waits for a pod's grace period: a lab at work says so."""


def ask_running(lab: str | None, verb: str, **arguments: object) -> dict[str, Any]:
    """Enter the lab of that name, or the one that runs, have it do something, and return its answer.

    Raises UsageError when none or several run, and MeshnetError as `enter_box` and `ask_lab` do.
    """
    enter_box(find_lab(lab))
    answer, _ = ask_lab(verb, **arguments)
    return answer


def ask_lab(verb: str, **arguments: object) -> tuple[dict[str, Any], list[int]]:
    """Have the lab, whose box was entered, do something; return its answer and the descriptors that came along.

    Raises DaemonUnreachable, also when no command could use the answer, or MeshnetError with what did not become true.
    """
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(TIMEOUT_S)
        try:
            sock.connect(str(CONTROL_SOCKET))
        except OSError as error:
            raise DaemonUnreachable(
                f"lab: its supervisor does not answer at {CONTROL_SOCKET}: {error.strerror}"
            ) from error
        channel = Channel(sock)
        try:
            channel.send({"verb": verb, **arguments})
            answer = channel.receive()
            while answer == AT_WORK:
                answer = channel.receive()
        except ChannelClosed as error:
            raise DaemonUnreachable(f"lab: {error}") from error
        except (ValueError, RecursionError) as error:
            raise _useless(verb, f"no line of JSON: {error}") from error
        if isinstance(answer, dict):
            raise_refusal(answer)
        descriptors = channel.take_descriptors()
        wrong = misshapen(verb, answer, len(descriptors))
        if wrong:
            raise _useless(verb, f"another version's, or damaged: {wrong}")
        return answer, descriptors


def _useless(verb: str, why: str) -> DaemonUnreachable:
    told = f"lab: its supervisor's answer to {verb!r} is {why}"
    return DaemonUnreachable(f"{told}; meshnet lab down ends it all the same")
