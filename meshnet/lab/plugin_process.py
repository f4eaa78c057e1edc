"""Running one CNI plugin: configuration in, answer out, in bounded time."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from typing import TYPE_CHECKING, NoReturn

import attrs

from meshnet.errors import KernelError, MeshnetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from meshnet.lab.children import Children

LARGEST_ANSWER = 16 << 20
RUN_LIMIT_S = 65.0
"""Longer than our own plugin takes at most: its answer says more than that there was none."""


@attrs.frozen
class Answer:
    """What a plugin printed, and its exit code (minus the number of a signal)."""

    code: int
    output: bytes


class PluginProcess:
    """Starts plugins; each call blocks its thread until the plugin has ended.

    Args:
        log: file that takes what plugins print on stderr.
        timeout_s: after this a plugin is killed.
    """

    def __init__(self, children: Children, log: Path, timeout_s: float = RUN_LIMIT_S) -> None:
        self._children = children
        self._log = log
        self._timeout_s = timeout_s

    def run(self, program: Path, env: Mapping[str, str], config: bytes) -> Answer:
        """Run `program` in the calling thread's network namespace.

        Raises MeshnetError when it cannot be started, as without room for its configuration or its log, or does not
        end in time.
        """
        done = threading.Event()
        codes: list[int] = []

        def ended(code: int) -> None:
            codes.append(code)
            done.set()

        try:
            pid, reading = self._start(program, env, config, ended)
        except OSError as error:
            raise KernelError(error.errno or 0, f"start {program}", error.filename or "") from error
        deadline = time.monotonic() + self._timeout_s
        output = self._read(reading, deadline)
        if output is not None and len(output) > LARGEST_ANSWER:
            self._give_up(pid, program, f"an answer of more than {LARGEST_ANSWER >> 20} MiB")
        if output is None or not done.wait(max(0.0, deadline - time.monotonic())):
            self._give_up(pid, program, f"no answer within {self._timeout_s:g} s")
        return Answer(codes[0], output)

    def _start(
        self, program: Path, env: Mapping[str, str], config: bytes, ended: Callable[[int], None]
    ) -> tuple[int, int]:
        """Return its pid, and where it writes to; the caller closes that."""
        with contextlib.ExitStack() as given:
            log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            given.callback(os.close, log)
            # not a pipe: a plugin that answers before it has read everything cannot block us
            stdin = os.memfd_create("cni-config", os.MFD_CLOEXEC)
            given.callback(os.close, stdin)
            _fill(stdin, config)
            reading, writing = os.pipe2(os.O_CLOEXEC)
            given.callback(os.close, writing)
            try:
                return self._children.spawn([str(program)], env, {0: stdin, 1: writing, 2: log}, ended), reading
            except BaseException:
                os.close(reading)
                raise

    def _give_up(self, pid: int, program: Path, why: str) -> NoReturn:
        killed = self._children.kill(pid, signal.SIGKILL)
        raise MeshnetError(f"{program}: {why}{': killed' if killed else ''}")

    def _read(self, fd: int, deadline: float) -> bytes | None:
        """Return all of the output, or the first of too much of it; None when it does not end in time."""
        output = bytearray()
        try:
            while len(output) <= LARGEST_ANSWER:
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    return None
                chunk = os.read(fd, 1 << 16)
                if not chunk:
                    return bytes(output)
                output += chunk
        finally:
            os.close(fd)
        return bytes(output)


def _fill(fd: int, content: bytes) -> None:
    written = 0
    while written < len(content):
        written += os.write(fd, content[written:])
    os.lseek(fd, 0, os.SEEK_SET)
