"""Asking a lab's supervisor over its socket: one that works may take its time, one that says nothing may not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cni.client import listens
from meshnet.errors import DaemonUnreachable, MeshnetError, StoreUnavailable, UsageError
from meshnet.lab import control, server
from meshnet.lab.control import ask_lab
from meshnet.lab.reply import Reply
from meshnet.lab.server import LabServer

if TYPE_CHECKING:
    from collections.abc import Mapping


ERRORS = {"reach nobody": DaemonUnreachable, "ask": StoreUnavailable, "misuse": UsageError}


class Verbs:
    """Does what it is asked for, in the time that it takes."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def run(self, request: Mapping[str, Any]) -> Reply:
        await asyncio.sleep(float(request.get("takes") or 0))
        if request["verb"] == "fail":
            raise MeshnetError("it did not become true")
        if request["verb"] in ERRORS:
            raise ERRORS[request["verb"]]("it did not become true")
        self.done.append(request["verb"])
        return Reply({"verb": request["verb"]})


@pytest.fixture
def path(monkeypatch, tmp_path):
    path = tmp_path / "lab.sock"
    monkeypatch.setattr(server, "CONTROL_SOCKET", path)
    monkeypatch.setattr(control, "CONTROL_SOCKET", path)
    monkeypatch.setattr(control, "TIMEOUT_S", 1.0)
    return path


@pytest.fixture
def verbs(monkeypatch, path):
    monkeypatch.setattr(server, "SIGN_OF_LIFE_S", 0.05)
    # whoever runs the tests is root there
    monkeypatch.setattr(server, "_CREDENTIALS", SimpleNamespace(size=12, unpack=lambda _: (0, 0, 0)))
    verbs, loop = Verbs(), asyncio.new_event_loop()
    serving = loop.create_task(LabServer(verbs).serve())
    thread = threading.Thread(target=lambda: _until_cancelled(loop, serving))
    thread.start()
    while thread.is_alive() and not listens(path):
        thread.join(0.005)
    yield verbs
    loop.call_soon_threadsafe(serving.cancel)
    thread.join()


def _until_cancelled(loop: asyncio.AbstractEventLoop, serving: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(serving)
    loop.close()


def test_lab_that_works_is_waited_for(verbs):
    assert ask_lab("work", takes="1.5") == ({"verb": "work"}, [])


def test_failure_after_a_long_time_is_told(verbs):
    with pytest.raises(MeshnetError, match="did not become true"):
        ask_lab("fail", takes="0.2")


@pytest.mark.parametrize(("verb", "error"), ERRORS.items())
def test_what_kind_of_failure_it_was_is_told(verbs, verb, error):
    with pytest.raises(error, match="it did not become true"):
        ask_lab(verb)


def test_what_was_asked_is_done_though_who_asked_has_gone(verbs):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(control.CONTROL_SOCKET))
        sock.sendall(b'{"verb": "stop", "takes": "0.2"}\n')
    assert ask_lab("look", takes="0.4") == ({"verb": "look"}, [])
    assert verbs.done == ["stop", "look"]


def test_each_of_a_hundred_commands_at_once_is_answered(verbs):
    """As of a shell that restarts every pod of a lab in the background."""
    with contextlib.ExitStack() as stack:
        several = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(100)]
        for sock in several:
            sock.settimeout(5)
            sock.connect(str(control.CONTROL_SOCKET))
            sock.sendall(b'{"verb": "work", "takes": "0.3"}\n')
        for sock in several:
            with sock.makefile() as answers:
                assert list(answers)[-1] == '{"verb":"work"}\n'


def test_lab_that_says_nothing_is_unreachable(path, monkeypatch):
    monkeypatch.setattr(control, "TIMEOUT_S", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with pytest.raises(DaemonUnreachable, match="does not answer"):
            ask_lab("stop")


def test_no_lab_is_unreachable(path):
    with pytest.raises(DaemonUnreachable, match="does not answer at"):
        ask_lab("stop")
