from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import pytest

from meshnet.cli.lab import pods
from meshnet.lab.node import Node
from meshnet.lab.outcome import outcome

CASES = [
    (0, "ended with exit code 0"),
    (3, "ended with exit code 3"),
    (-signal.SIGKILL, "was ended by SIGKILL"),
    (-40, "was ended by signal 40"),
]


@pytest.mark.parametrize(("code", "told"), CASES)
def test_how_a_process_ended_is_told_of_daemons_and_commands_alike(code: int, told: str) -> None:
    node = Node("n1", 1, SimpleNamespace(), SimpleNamespace(), {})
    node._has_ended(threading.Event(), code)
    assert node.condition() == outcome(code) == told
    assert pods.condition({"pid": None, "error": "", "code": code}) == told
