"""Answers of a lab that another version started, or that are damaged: told, not stumbled over."""

from __future__ import annotations

import json
import os
import socket
import threading

import pytest

from meshnet.errors import DaemonUnreachable
from meshnet.lab import control
from meshnet.lab.control import ask_lab

NODE = {
    "name": "n1",
    "address": "10.99.0.1",
    "uplink": "eth0",
    "uplink_state": "whole",
    "isolated": False,
    "daemon": "runs",
    "pid": 7,
}
COMMAND = {"name": "main", "pid": None, "code": -9, "error": "", "restarts": 1}
POD = {
    "namespace": "default",
    "name": "r1",
    "node": "n1",
    "phase": "running",
    "message": "",
    "netns": "/run/netns/x",
    "commands": [COMMAND],
}
STATUS = {"name": "lab", "nodes": [NODE], "pods": [POD]}


@pytest.fixture
def lab(monkeypatch, tmp_path):
    """Has the lab answer these bytes to the next request, with so many descriptors."""
    path = tmp_path / "lab.sock"
    monkeypatch.setattr(control, "CONTROL_SOCKET", path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threads = []

        def answers(line: bytes, descriptors: int = 0) -> None:
            def serve() -> None:
                connection, _ = listener.accept()
                with connection, open(os.devnull) as null:
                    connection.recv(1 << 16)
                    socket.send_fds(connection, [line + b"\n"], [null.fileno()] * descriptors)

            threads.append(threading.Thread(target=serve))
            threads[-1].start()

        yield answers
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(
    ("verb", "answer", "descriptors"),
    [
        ("status", STATUS, 0),
        ("status", {**STATUS, "later": 1, "pods": [{**POD, "commands": [{**COMMAND, "pid": 5, "code": None}]}]}, 0),
        ("restart", POD, 0),
        ("node", {**NODE, "pid": None}, 0),
        ("logs", {"paths": ["/run/x"]}, 0),
        ("enter", {"environment": {"PATH": "/bin"}, "directory": ""}, 5),
    ],
)
def test_what_a_lab_answers_is_taken(lab, verb, answer, descriptors):
    lab(json.dumps(answer).encode(), descriptors)

    found, fds = ask_lab(verb)

    for fd in fds:
        os.close(fd)
    assert (found, len(fds)) == (answer, descriptors)


@pytest.mark.parametrize(
    ("verb", "line", "told"),
    [
        ("status", b"status", "no line of JSON"),
        ("status", b"[" * 50_000, "no line of JSON"),
        ("status", b"[]", "must be a mapping"),
        ("status", b"5", "5: must be a mapping"),
        ("status", json.dumps({"name": "lab", "nodes": [NODE]}).encode(), "pods: must be given"),
        ("status", json.dumps({**STATUS, "nodes": [{**NODE, "daemon": 5}]}).encode(), "nodes[0].daemon: 5: must be"),
        ("status", json.dumps({**STATUS, "nodes": None}).encode(), "nodes: must be given"),
        ("stop", json.dumps({**POD, "commands": [{**COMMAND, "restarts": None}]}).encode(), "restarts: must be given"),
        ("stop", json.dumps({**POD, "phase": None}).encode(), "phase: must be given"),
        (
            "stop",
            json.dumps({**POD, "commands": [{"name": "main", "error": "", "restarts": 0}]}).encode(),
            "commands[0].pid: must be given",
        ),
        ("node", json.dumps({**NODE, "uplink_state": ["x"]}).encode(), "uplink_state: ['x']: must be a string"),
        ("logs", b'{"paths": "/run/x"}', "paths: '/run/x': must be a list"),
        ("enter", b'{"environment": {"A": 1}, "directory": ""}', "environment.A: 1: must be a string"),
        ("enter", b'{"environment": {}, "directory": ""}', "0 descriptors: must be 5 or more"),
    ],
)
def test_what_is_wrong_in_a_labs_answer_is_told(lab, verb, line, told):
    lab(line)

    with pytest.raises(DaemonUnreachable, match=f"lab: its supervisor's answer to '{verb}' is ") as error:
        ask_lab(verb)

    assert told in str(error.value)
    assert len(str(error.value)) < 400
