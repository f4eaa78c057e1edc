"""From a write in one process to its sight in another: the store's watch against polling the file.

Each round starts a watcher, leaves it idle, then writes a status now and then and asks when each was seen. Polling is
`PRAGMA data_version` every 5 ms and a look at the log when it differs. Last in each round: what a status write costs
in a burst of 1000, with a watcher listening.

    python benchmarks/bench_store_watch.py [--rounds 5] [--writes 200] [--idle 3] [--directory DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import box
from figures import Report

from meshnet.model.resource import API_VERSION, Kind
from meshnet.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

POLL_S = 0.005
GAP_S = 0.01
BURST = 1000
WHERE = (Kind.TOPOLOGY, "default", "r1")
LINKS = [{"uid": uid, "peer_pod": "r2", "local_intf": f"eth{uid}", "peer_intf": f"eth{uid}"} for uid in range(1, 5)]
TOPOLOGY = {"apiVersion": API_VERSION, "kind": "Topology", "metadata": {"name": "r1"}, "spec": {"links": LINKS}}


class Meter:
    """Counts the processor time of this process from the first mark to the second."""

    def __init__(self) -> None:
        self.marks: list[tuple[float, float]] = []

    def mark(self) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.marks.append((time.monotonic(), used.ru_utime + used.ru_stime))

    def percent(self) -> float:
        (begin, used), (end, used_then) = self.marks[:2]
        return 100 * (used_then - used) / (end - begin)


async def watch(path: str, writes: int, meter: Meter) -> list[float]:
    """Milliseconds from write to sight, by the store's watch."""
    store = SqliteStore(path)
    delays: list[float] = []
    revision = (await store.list(Kind.TOPOLOGY)).revision
    async with contextlib.aclosing(store.watch(Kind.TOPOLOGY, revision)) as events:
        async for event in events:
            now = time.monotonic_ns()
            if event.resource is None:  # the bookmark: from here on it is idle
                meter.mark()
                print("ready", flush=True)
                continue
            if not delays:
                meter.mark()
            delays.append((now - event.resource.status["at"]) / 1e6)
            if len(delays) == writes:
                break
    await store.close()
    return delays


def poll(path: str, writes: int, meter: Meter) -> list[float]:
    """The same by polling."""
    connection = sqlite3.connect(path, isolation_level=None)
    (place,) = connection.execute("SELECT max(revision) FROM changes").fetchone()
    version = connection.execute("PRAGMA data_version").fetchone()
    delays: list[float] = []
    meter.mark()
    print("ready", flush=True)
    while len(delays) < writes:
        time.sleep(POLL_S)
        found = connection.execute("PRAGMA data_version").fetchone()
        if found == version:
            continue
        version = found
        if not delays:
            meter.mark()
        for place, text in connection.execute(  # noqa: B007, B020  (the last place is where to go on)
            "SELECT revision, document FROM changes WHERE revision > ? ORDER BY revision", (place,)
        ).fetchall():
            delays.append((time.monotonic_ns() - json.loads(text)["status"]["at"]) / 1e6)
    connection.close()
    return delays


@contextlib.contextmanager
def watcher(role: str, path: Path, writes: int) -> Iterator[subprocess.Popen[str]]:
    """A process of that role, ready."""
    command = [sys.executable, __file__, "--role", role, "--path", str(path), "--writes", str(writes)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            yield child
        finally:
            child.kill()


async def write(path: Path, writes: int, gap: float) -> float:
    """Write so many statuses; return microseconds a write, without the gaps."""
    store = SqliteStore(path)
    links = [{"local_intf": link["local_intf"], "state": "Up", "reason": ""} for link in LINKS]
    spent = 0.0
    for _ in range(writes):
        await asyncio.sleep(gap)
        begin = time.monotonic_ns()
        await store.patch_status(*WHERE, {"node": "n1", "at": begin, "links": links})
        spent += (time.monotonic_ns() - begin) / 1e3
    await store.close()
    return spent / writes


@attrs.frozen
class Outcome:
    """What one watcher's round gave."""

    p50: float
    p99: float
    cpu: float


def measure(role: str, path: Path, writes: int, idle: float) -> Outcome:
    with watcher(role, path, writes) as child:
        time.sleep(idle)
        asyncio.run(write(path, writes, GAP_S))
        output, _ = child.communicate(timeout=30)
    cpu, *delays = map(float, output.split())
    cuts = statistics.quantiles(delays, n=100, method="inclusive")
    return Outcome(cuts[49], cuts[98], cpu)


def burst(path: Path) -> float:
    with watcher("watch", path, BURST) as child:
        cost = asyncio.run(write(path, BURST, 0))
        child.communicate(timeout=30)
    return cost


async def make(path: Path) -> None:
    store = SqliteStore(path)
    await store.apply(TOPOLOGY)
    await store.close()


def run(rounds: int, writes: int, idle: float, directory: Path | None, output: Path) -> None:
    report = Report("bench_store_watch", rounds, output)
    note = f"ours: the store's watch; theirs: polling every {POLL_S * 1000:g} ms"
    figures = {
        "p50": report.figure("seen after, p50", "ms", of_ratio=False, note=note),
        "p99": report.figure("seen after, p99", "ms", must=2.0, of_ratio=False),
        "cpu": report.figure("idle CPU", "%", of_ratio=False),
    }
    cost = report.figure(f"a status write in a burst of {BURST}, one watcher", "us", of_ratio=False)
    with tempfile.TemporaryDirectory(dir=directory) as place:
        path = Path(place) / "store.db"
        asyncio.run(make(path))
        for _ in range(rounds):
            for role, side in (("watch", "ours"), ("poll", "theirs")):
                outcome = measure(role, path, writes, idle)
                for field, figure in figures.items():
                    getattr(figure, side).append(getattr(outcome, field))
            cost.ours.append(burst(path))
    report.finish()


def main() -> None:
    more: dict[str, dict[str, object]] = {
        "writes": {"type": int, "default": 200},
        "idle": {"type": float, "default": 3.0, "help": "seconds"},
        "directory": {"type": Path, "help": "where the file is (default: the temporary directory)"},
        "role": {"choices": ("watch", "poll"), "help": argparse.SUPPRESS},
        "path": {"help": argparse.SUPPRESS},
    }
    asked = box.options(__doc__, **more)
    if asked.role is None:
        writes, idle = (50, 1.0) if asked.quick else (asked.writes, asked.idle)
        run(asked.rounds, writes, idle, asked.directory, asked.output)
        return
    meter = Meter()
    if asked.role == "watch":
        delays = asyncio.run(watch(asked.path, asked.writes, meter))
    else:
        delays = poll(asked.path, asked.writes, meter)
    print(meter.percent(), *delays)


if __name__ == "__main__":
    main()
