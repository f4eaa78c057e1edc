"""Programs that run in a pod while a test does something to the lab."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

END_S = 10


@contextlib.contextmanager
def _running(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()  # the program's word to end
        try:
            process.wait(END_S)
        finally:
            process.kill()
            process.wait(END_S)
            if process.stdout is not None:
                process.stdout.close()


@attrs.define
class Outcome:
    """What a program told at its end; filled when the ``with`` is left."""

    told: dict[str, Any] = attrs.field(factory=dict)

    @property
    def lost(self) -> int:
        return int(self.told["sent"] - self.told["received"])


@contextlib.contextmanager
def flooding(lab: Lab, pod: str, address: str) -> Iterator[Outcome]:
    """Ping from a pod without a pause during the ``with``; it begins when the first answer is here."""
    with _telling(lab, pod, "flood.py", address) as outcome:
        yield outcome


@contextlib.contextmanager
def capturing(lab: Lab, pod: str, interface: str) -> Iterator[Outcome]:
    """Capture at an interface during the ``with``."""
    with _telling(lab, pod, "capture.py", interface) as outcome:
        yield outcome


@contextlib.contextmanager
def hearing(lab: Lab, pod: str, interface: str) -> Iterator[Outcome]:
    """Hear which frames of the corpus come in at an interface during the ``with``."""
    with _telling(lab, pod, "frames.py", "hear", interface) as outcome:
        yield outcome


@contextlib.contextmanager
def _telling(lab: Lab, pod: str, program: str, *arguments: str) -> Iterator[Outcome]:
    with _running(lab.start(pod, program, *arguments)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        outcome = Outcome()
        yield outcome
        told, _ = process.communicate(timeout=END_S)
        outcome.told = json.loads(told)


@attrs.frozen
class Events:
    """What has happened to a pod's interfaces since the watch began."""

    path: Path

    def all(self) -> list[dict[str, Any]]:
        text = self.path.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def carriers(self, interface: str) -> list[dict[str, Any]]:
        """Return the changes of an interface's carrier; the first is how it was told of first."""
        found: list[dict[str, Any]] = []
        for event in self.all():
            of_it = event["kind"] == "link" and event["name"] == interface
            if of_it and (not found or found[-1]["carrier"] != event["carrier"]):
                found.append(event)
        return found

    def await_(self, condition: Callable[[], object], what: str, within_s: float = 10) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}\n{self.path.read_text()}"
            time.sleep(0.005)


@contextlib.contextmanager
def events(lab: Lab, pod: str, directory: Path) -> Iterator[Events]:
    """Watch a pod's interfaces during the ``with``."""
    path = directory / f"events-{pod}.jsonl"
    with path.open("w") as output, _running(lab.start(pod, "events.py", output=output.fileno())):
        watch = Events(path)
        watch.await_(watch.all, f"{pod}: the watch begins")
        yield watch
