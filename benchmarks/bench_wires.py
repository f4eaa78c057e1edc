"""Many wires between two nodes at once, all by grpcwire and its two daemons.

64 wires: a TCP stream on each (streams.c), all full at once, links as they are by default. Fairness is Jain's index of
their rates, 1 when all are equal, 1/64 when one has everything.

idle beside full: round trips of pings, 10 ms apart, on a wire that nothing else is on, while another wire between the
same nodes is full; and while 64 are.

Memory is what each daemon had at most (VmHWM), which is reset before each round; against that before any load.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import box
from figures import Report, jain, percentile
from joined_nodes import JoinedNodes
from programs import ROOT, compiled
from traffic import Pair, full, pings, streams
from wiring import cables, topologies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from figures import Figure
    from wiring import Cable

WIRES = 64
HUBS = ("n1-hub", "n2-hub")
IDLE = ("n1-idle", "n2-idle")
LONGEST_S = 60.0
WARM_S = 0.5


def megabytes(pid: int, field: str) -> float:
    """Return a field of a process's status in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    sys.exit(f"process {pid} has no {field}")


def forget_peak(pid: int) -> None:
    """Have the kernel begin anew with what a process had at most."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Wires:
    """The nodes, and a round of each figure."""

    def __init__(self, nodes: JoinedNodes, made: Sequence[Cable], report: Report, program: Path) -> None:
        self._nodes = nodes
        self._program = program
        self._addresses = [cable.right_address.partition("/")[0] for cable in made]
        own = {"of_ratio": False}
        self._fair = report.figure(f"Jain's index of {WIRES} full wires", "", must=0.9, higher_is_better=True, **own)
        self._total = report.figure(f"TCP, {WIRES} full wires together", "Gbit/s", higher_is_better=True, **own)
        self._beside = {
            count: (
                report.figure(f"RTT of an idle wire beside {count} full, p50", "ms", **own),
                report.figure(f"RTT of an idle wire beside {count} full, p99", "ms", must=must, **own),
            )
            for count, must in ((0, None), (1, 5), (WIRES, None))
        }
        self._before = {name: megabytes(node.daemon.pid, "VmRSS") for name, node in nodes.nodes.items()}
        self._memory: dict[str, Figure] = {
            name: report.figure(f"memory of {name}'s daemon at most", "MB", note="theirs, memory: before any load")
            for name in nodes.nodes
        }

    def round(self, seconds: float, count: int) -> None:
        for node in self._nodes.nodes.values():
            forget_peak(node.daemon.pid)
        hubs = self._pair(HUBS)
        idle = self._pair(IDLE)
        for busy, figures in self._beside.items():
            with contextlib.ExitStack() as load:
                if busy:
                    load.enter_context(full(self._program, hubs, self._addresses[:busy], LONGEST_S))
                    time.sleep(WARM_S)
                took = pings(idle, count)
            for figure, value in zip(figures, (statistics.median(took), percentile(took, 0.99)), strict=True):
                figure.ours.append(value)
        time.sleep(WARM_S)
        rates = streams(self._program, hubs, self._addresses[:WIRES], seconds)
        self._fair.ours.append(jain(rates))
        self._total.ours.append(sum(rates))
        for name, figure in self._memory.items():
            figure.ours.append(megabytes(self._nodes.nodes[name].daemon.pid, "VmHWM"))
            figure.theirs.append(self._before[name])

    def _pair(self, names: tuple[str, str]) -> Pair:
        sender, receiver = (self._nodes.pods[name].path for name in names)
        return Pair(sender, receiver, self._addresses[WIRES])


def main() -> None:
    asked = box.options(__doc__)
    box.enter()
    program = compiled(ROOT / "benchmarks" / "streams.c")
    report = Report("bench_wires", asked.rounds, asked.output)
    seconds, count = (2.0, 100) if asked.quick else (5.0, 300)
    made = cables([HUBS] * WIRES + [IDLE])
    with JoinedNodes.running(topologies(made, driver="grpcwire")) as nodes:
        nodes.attach([*HUBS, *IDLE])
        wires = Wires(nodes, made, report, program)
        for _ in range(asked.rounds):
            report.quiet(asked.patience)
            wires.round(seconds, count)
    report.finish()


if __name__ == "__main__":
    main()
