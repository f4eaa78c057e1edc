"""A daemon that takes connections and answers nothing, as one that was stopped by a signal, is a silent one."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import DaemonUnreachable
from meshnet.lab import node
from tests.cni.daemon import Daemon, answer

if TYPE_CHECKING:
    import socket
    from pathlib import Path


@pytest.fixture
def n1(tmp_path: Path) -> node.Node:
    made = node.Node("n1", 1, SimpleNamespace(), SimpleNamespace(), {})
    made.directory = tmp_path
    made._pid = 7
    return made


def test_who_answers_is_not_silent(n1: node.Node) -> None:
    with Daemon(n1.socket, answer(b'{"node": "n1"}')):
        n1.refuse_silent()


def test_who_takes_connections_alone_is(n1: node.Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "ANSWER_TIMEOUT_S", 0.2)
    asked = threading.Event()

    def hang(_daemon: Daemon, _conn: socket.socket, _number: int) -> None:
        asked.wait(5)

    told = r"^node n1: its daemon runs, and does not answer \(meshnet lab logs n1\)$"
    with Daemon(n1.socket, hang):
        with pytest.raises(DaemonUnreachable, match=told):
            n1.refuse_silent()
        asked.set()
