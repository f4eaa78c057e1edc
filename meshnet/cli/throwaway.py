"""Try something in a network namespace that nobody else uses and that is gone afterwards."""

from __future__ import annotations

import json
import os
import select
import signal
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from meshnet.errors import MeshnetError
from meshnet.lab.syscalls import CLONE_NEWNET, CLONE_NEWUSER, fork, unshare

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_S = 10.0


def enter_throwaway() -> None:
    """Move this process into a network namespace of its own; who is not root gets a user namespace first.

    Raises KernelError where the machine forbids it.
    """
    if os.geteuid() == 0:
        unshare(CLONE_NEWNET)
        return
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def in_throwaway(function: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> Any:
    """Run `function` in a child process in such a namespace, and return what it returns (JSON types).

    Raises MeshnetError with what it raised there, or when it takes longer than `timeout_s` seconds.
    """
    reader, writer = os.pipe()
    child = fork()
    if child == 0:
        os.close(reader)
        _answer(writer, function)
    os.close(writer)
    try:
        answer = json.loads(_read(reader, timeout_s) or '{"error": "ended without an answer"}')
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if "error" in answer:
        raise MeshnetError(f"in a throw-away network namespace: {answer['error']}")
    return answer["found"]


def _answer(writer: int, function: Callable[[], Any]) -> NoReturn:
    try:
        os.dup2(2, 1)  # standard output is the command's, which a program may read
        enter_throwaway()
        answer = {"found": function()}
    except BaseException as error:  # noqa: BLE001 - told to the parent, who raises it
        answer = {"error": _told(error)}
    with os.fdopen(writer, "w") as pipe:
        json.dump(answer, pipe)
    os._exit(0)


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, MeshnetError) else traceback.format_exception_only(error)[-1].strip()


def _read(reader: int, timeout_s: float) -> bytes:
    """Return all that comes until the other end closes; when time is up before that, an answer that says so."""
    deadline = time.monotonic() + timeout_s
    poller = select.poll()
    poller.register(reader, select.POLLIN | select.POLLHUP)
    found = bytearray()
    while poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
        chunk = os.read(reader, 1 << 16)
        if not chunk:
            return bytes(found)
        found += chunk
    return b'{"error": "no answer within the time"}'
