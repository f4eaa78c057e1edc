"""The table of bench_cluster: a row a topology and overlay, with what is bounded and what explains it."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from figures import percentile

if TYPE_CHECKING:
    from cluster_run import Outcome
    from cluster_shapes import Shape
    from figures import Figure, Report

HEADS = (
    "", "bare, s", "ready, s", "ratio", "answers", "last, s", "p50, ms", "p99, ms", "writes", "reads",
    "CPU ratio", "daemons, s", "MB", "others",
)  # fmt: skip
WRITING = ("create", "update", "patch", "delete")
READING = ("get", "list")


class Row:
    """Runs of one topology with one overlay."""

    def __init__(self, report: Report, shape: Shape, overlay: str) -> None:
        self.name = f"{shape.name}, {overlay}"
        self._shape = shape
        self._ready = self._figure(report, "all Ready", "s", must=1.15, of_ratio=True)
        self._dead = self._figure(report, "ends without answer", "", must=0)
        self._last = self._figure(report, "last answer after Ready", "s", must=1)
        self._p50 = self._figure(report, "plugin p50", "ms", must=30)
        self._p99 = self._figure(report, "plugin p99", "ms", must=300)
        self._writes = self._figure(report, "writes a pod", "", must=2)
        self._reads = self._figure(report, "reads a pod", "")
        self._cpu = self._figure(report, "daemons' CPU", "s")
        self._rss = self._figure(report, "a daemon's memory at most", "MB")
        self._all = report.figure(f"{self.name}: CPU of the cluster until all Ready", "s")
        self._others = self._figure(report, "others' share of the processors", "")
        self._others_bare = self._figure(report, "others' share of the processors, bare", "")
        self._bare_cpu: list[float] = []
        self._bare: list[float] = []
        self.failed_calls = 0

    def bare(self, outcome: Outcome) -> None:
        """Take in a run without meshnet."""
        self._bare.append(outcome.ready_s)
        self._ready.theirs = [statistics.median(self._bare)]
        self._bare_cpu.append(outcome.spent.cluster)
        self._all.theirs = [statistics.median(self._bare_cpu)]
        self._others_bare.ours.append(outcome.spent.others)

    def wired(self, outcome: Outcome) -> None:
        """Take in a run with it."""
        took = [call.ms for call in outcome.calls]
        self.failed_calls += sum(call.code != 0 for call in outcome.calls)
        for figure, value in (
            (self._ready, outcome.ready_s),
            (self._dead, self._shape.ends - outcome.answered),
            (self._last, outcome.slowest_s),
            (self._p50, percentile(took, 0.5)),
            (self._p99, percentile(took, 0.99)),
            (self._writes, self._a_pod(outcome, WRITING)),
            (self._reads, self._a_pod(outcome, READING)),
            (self._cpu, outcome.cpu_s),
            (self._rss, max(outcome.rss, default=0.0)),
            (self._all, outcome.spent.cluster),
            (self._others, outcome.spent.others),
        ):
            figure.ours.append(value)

    def cells(self) -> list[str]:
        """Return a median a column; an exclamation mark behind what is not as it must be."""
        bare = self._ready.theirs[0] if self._ready.theirs else float("nan")
        ratio = statistics.median(self._ready.ours) / bare
        answers = f"{self._shape.ends - self._dead.ours[-1]:.0f}/{self._shape.ends}"
        cpu = statistics.median(self._all.ours) / self._all.theirs[0] if self._all.theirs else float("nan")
        return [
            self.name,
            f"{bare:.2f}",
            f"{statistics.median(self._ready.ours):.2f}",
            _marked(self._ready, f"{ratio:.2f}"),
            _marked(self._dead, answers),
            _median(self._last, ".2f"),
            _median(self._p50, ".1f"),
            _median(self._p99, ".0f"),
            _median(self._writes, ".2f"),
            _median(self._reads, ".2f"),
            f"{cpu:.2f}",
            _median(self._cpu, ".1f"),
            _median(self._rss, ".0f"),
            f"{max(self._others.ours + self._others_bare.ours):.0%}",
        ]

    @property
    def has_run(self) -> bool:
        return bool(self._ready.ours)

    def _figure(
        self, report: Report, what: str, unit: str, must: float | None = None, *, of_ratio: bool = False
    ) -> Figure:
        return report.figure(f"{self.name}: {what}", unit, must=must, of_ratio=of_ratio)

    def _a_pod(self, outcome: Outcome, verbs: tuple[str, ...]) -> float:
        counted = sum(count for name, count in outcome.requests.items() if name.partition("/")[0] in verbs)
        return counted / self._shape.pods


class Table:
    """All rows."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._rows: list[Row] = []

    def row(self, shape: Shape, overlay: str) -> Row:
        """Add a row; its runs come later."""
        self._rows.append(Row(self._report, shape, overlay))
        return self._rows[-1]

    def print(self) -> None:
        """Print it; medians of the runs."""
        lines = [list(HEADS), *(row.cells() for row in self._rows if row.has_run)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for cells in lines:
            first, *others = (
                f"{cell:<{width}}" if not place else f"{cell:>{width}}"
                for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
            )
            print("  ".join([first, *others]))
        failed = {row.name: row.failed_calls for row in self._rows if row.failed_calls}
        if failed:
            print(f"ADDs that failed: {failed}")
        print(
            "! is more than it may be: 1.15 x bare; 0 ends without answer; 1 s; p50 30 ms, p99 300 ms; 2 writes a pod"
        )


def _marked(figure: Figure, text: str) -> str:
    return text + ("!" if figure.met(figure.must) is False else "")


def _median(figure: Figure, form: str) -> str:
    return _marked(figure, format(statistics.median(figure.ours), form))
