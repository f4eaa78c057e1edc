"""What a daemon takes: memory, descriptors, processor time while nothing happens; alone, and with 1000 links.

Against a Python process that has imported asyncio and waits. RSS and PSS as the kernel counts them, after the daemon
has been left alone; 1 MB is 10^6 bytes. The idle time includes the daemon's timers (heartbeat, full pass a minute).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import box
import wiring
from figures import Report, process_seconds
from local_node import BenchNode

if TYPE_CHECKING:
    from figures import Figure

BARE = "import asyncio; print('ready', flush=True); asyncio.run(asyncio.sleep(3600))"


def memory(pid: int) -> tuple[float, float]:
    """Return megabytes: RSS, PSS."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024 / 1e6
    return found["Rss"], found["Pss"]


def cpu_seconds(pid: int) -> float:
    return process_seconds(Path(f"/proc/{pid}/stat").read_text())


class Kind:
    """Figures of a daemon in one situation."""

    def __init__(self, report: Report, what: str, *, must: float, goal: float) -> None:
        self._rss = report.figure(f"RSS {what}", "MB", must=must, goal=goal, of_ratio=False)
        self._pss = report.figure(f"PSS {what}", "MB", of_ratio=False)
        self._descriptors = report.figure(f"descriptors {what}", "", of_ratio=False)
        self._cpu = report.figure(f"idle CPU {what}", "%", of_ratio=False)

    def take(self, daemon: int, bare: int, idle_s: float) -> None:
        """Measure both processes."""
        before = {pid: cpu_seconds(pid) for pid in (daemon, bare)}
        time.sleep(idle_s)
        for pid, side in ((daemon, "ours"), (bare, "theirs")):
            rss, pss = memory(pid)
            cpu = (cpu_seconds(pid) - before[pid]) / idle_s * 100
            values: list[tuple[Figure, float]] = [
                (self._rss, rss),
                (self._pss, pss),
                (self._descriptors, len(os.listdir(f"/proc/{pid}/fd"))),
                (self._cpu, cpu),
            ]
            for figure, value in values:
                getattr(figure, side).append(value)


def main() -> None:
    asked = box.options(__doc__)
    box.enter()
    pods, links, idle_s = (50, 100, 3.0) if asked.quick else (500, 1000, 10.0)
    made = wiring.ring_with_chords(pods, links)
    report = Report("bench_memory", asked.rounds, asked.output)
    alone = Kind(report, "idle", must=90, goal=45)
    wired = Kind(report, f"with {links} links", must=150, goal=60)
    with subprocess.Popen([sys.executable, "-c", BARE], stdout=subprocess.PIPE) as bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        try:
            for _ in range(asked.rounds):
                report.quiet(asked.patience)
                with BenchNode.running() as node:
                    alone.take(node.daemon.pid, bare.pid, idle_s)
                with BenchNode.running(wiring.topologies(made)) as node:
                    attached = node.attach(wiring.pod_names(made))
                    time.sleep(6)  # the last statuses are written up to 5 s after
                    wired.take(node.daemon.pid, bare.pid, idle_s)
                for pod in attached.values():
                    pod.remove()
        finally:
            bare.kill()
    report.finish()


if __name__ == "__main__":
    main()
