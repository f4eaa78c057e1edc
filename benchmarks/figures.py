"""What a benchmark found: both sides of each figure, their ratio round by round, and whether that is good enough."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = Path(__file__).parents[1] / "build" / "bench"
SAMPLE_S = 0.3
QUIET_SHARE = 0.1


def percentile(values: Sequence[float], part: float) -> float:
    """Return the value that `part` (0 to 1) of `values` do not exceed, interpolated."""
    ordered = sorted(values)
    place = part * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def jain(rates: Sequence[float]) -> float:
    """Return Jain's index of fairness of these rates."""
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 0.0


@attrs.define
class Figure:
    """One figure: a value of each side a round.

    Attributes:
        name: what is measured.
        unit: of both sides' values.
        higher_is_better: else lower is.
        must, goal: bounds; None where there is none.
        of_ratio: the bounds are for the ratio ours : theirs, else for our own value.
        ours, theirs: a value a round; `theirs` may be shorter, then its median stands for the missing rounds.
        note: what a reader must know of it.
    """

    name: str
    unit: str
    higher_is_better: bool = False
    must: float | None = None
    goal: float | None = None
    of_ratio: bool = True
    ours: list[float] = attrs.field(factory=list)
    theirs: list[float] = attrs.field(factory=list)
    note: str = ""

    def ratios(self) -> list[float]:
        """Return ours : theirs of each round."""
        if not self.theirs:
            return []
        rest = [statistics.median(self.theirs)] * (len(self.ours) - len(self.theirs))
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs + rest, strict=True) if theirs]

    def met(self, bound: float | None) -> bool | None:
        """Tell whether the median keeps `bound`; None when there is no bound or no measurement."""
        judged = self.ratios() if self.of_ratio else self.ours
        if bound is None or not judged:
            return None
        value = statistics.median(judged)
        return value >= bound if self.higher_is_better else value <= bound

    def document(self) -> dict[str, Any]:
        """Return everything of it for a JSON file."""
        found = {"ratios": self.ratios(), "must_met": self.met(self.must), "goal_met": self.met(self.goal)}
        return attrs.asdict(self) | found


class Report:
    """All figures of one benchmark, as a table for people and as JSON for programs."""

    def __init__(self, name: str, rounds: int, directory: Path = RESULTS) -> None:
        self._name = name
        self._rounds = rounds
        self._directory = directory
        self._figures: list[Figure] = []
        self._others: list[float] = []
        self._load = [os.getloadavg()[0]]

    def figure(self, name: str, unit: str, **facts: Any) -> Figure:
        """Add a figure; its values come later."""
        self._figures.append(Figure(name, unit, **facts))
        return self._figures[-1]

    def quiet(self, patience_s: float) -> None:
        """Wait until others leave the processors alone, for a bounded time; note how much they took in the end."""
        deadline = time.monotonic() + patience_s
        while (busy := busy_share(SAMPLE_S)) > QUIET_SHARE and time.monotonic() < deadline:
            pass
        self._others.append(busy)

    def finish(self) -> None:
        """Print the table and write the file."""
        self._load.append(os.getloadavg()[0])
        self._print()
        self.save()

    def save(self) -> None:
        """Write the file."""
        self._directory.mkdir(parents=True, exist_ok=True)
        document = {
            "name": self._name,
            "rounds": self._rounds,
            "kernel": platform.release(),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
            "load_average": self._load,
            "others_before_each_round": self._others,
            "figures": [figure.document() for figure in self._figures],
        }
        (self._directory / f"{self._name}.json").write_text(json.dumps(document, indent=1) + "\n")

    def _print(self) -> None:
        begin, end = self._load
        others = f"others' share of the processors before a round {_range(self._others, '.0%')}" if self._others else ""
        print(f"\n{self._name}: {self._rounds} rounds; load average {begin:.1f} then {end:.1f}; {others}")
        width = max(len(_title(figure)) for figure in self._figures)
        heads = ("ours min/median/max", "theirs", "ratio", "must", "goal")
        print(f"{'':{width}}  {heads[0]:>22}  {heads[1]:>22}  {heads[2]:>18}  {heads[3]:>12}  {heads[4]:>12}")
        for figure in self._figures:
            print(
                f"{_title(figure):{width}}  {_range(figure.ours):>22}  {_range(figure.theirs):>22}  "
                f"{_range(figure.ratios(), '.2f'):>18}  {_bound(figure, figure.must):>12}  "
                f"{_bound(figure, figure.goal):>12}"
            )
        for note in dict.fromkeys(figure.note for figure in self._figures if figure.note):
            print(f"  {note}")


def busy_share(seconds: float) -> float:
    """Return how much of the machine's processor time is used, 0 to 1, while this process sleeps."""
    before = cpu_times()
    time.sleep(seconds)
    total, idle = (now - then for now, then in zip(cpu_times(), before, strict=True))
    return 1 - idle / total if total else 0.0


def cpu_times() -> tuple[int, int]:
    """Return the machine's processor time since its start, and how much of that was idle; in clock ticks."""
    first = Path("/proc/stat").read_text().partition("\n")[0]
    numbers = [int(number) for number in first.split()[1:9]]
    return sum(numbers), numbers[3] + numbers[4]


def process_seconds(stat: str) -> float:
    """Return the processor time of a process, by the text of its /proc/PID/stat."""
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _title(figure: Figure) -> str:
    return f"{figure.name}, {figure.unit}" if figure.unit else figure.name


def _range(values: Sequence[float], form: str = "") -> str:
    if not values:
        return "-"
    return " / ".join(
        format(value, form) if form else _short(value)
        for value in (min(values), statistics.median(values), max(values))
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _bound(figure: Figure, bound: float | None) -> str:
    if bound is None:
        return ""
    met = figure.met(bound)
    sign = ">=" if figure.higher_is_better else "<="
    times = "x" if figure.of_ratio else ""
    return f"{sign} {bound:g}{times} {'?' if met is None else 'yes' if met else 'NO'}"
