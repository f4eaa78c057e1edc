"""Pods with links, created at once over the three nodes of a real cluster, against the same pods bare.

Bare: the same cluster without meshnet: no daemon, nothing in the nodes' chain of plugins. Runs alternate: bare, vxlan,
bare, grpc, bare; --rounds repeats that. Neighbours are on different nodes wherever the topology lets them.

Ready: from before the first pod is created until a watch has seen the last one Ready. Topologies are created just
before that. Answers: ends whose pod has had an answer to a ping of its own, and how long after the last Ready the last
of them came; each pod writes down its own. Plugin: from exec to exit of each ADD, by a program in its place that runs
it. Writes and reads: requests of all daemons in the API server's own log, a pod. CPU: of the whole cluster until all
are Ready, against bare; of all daemons together, until the statuses stand. Others: what everybody else took of the
processors. A run in which that is more than a tenth is done again, at most twice; look at the column all the same.

Needs root, Kubernetes' programs (`make cluster-programs`) and the image (`make image`). Not part of `make bench`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import box
from cluster_bed import Bed
from cluster_run import Run
from cluster_shapes import Shape, mesh, ring, star, twins
from cluster_table import Table
from figures import Report
from programs import ROOT

if TYPE_CHECKING:
    from cluster_run import Outcome

QUICK = (ring(40), mesh(8))
ALL = (ring(40), ring(100), mesh(5), mesh(8), mesh(12), star(60), twins(20))
OVERLAYS = {"vxlan": ROOT / "manifests" / "base", "grpc": ROOT / "manifests" / "overlays" / "grpc-link"}
TURNS = ("", "vxlan", "", "grpc", "")
"""An overlay a run, "" for bare."""
TRIES = 3
DISTURBED = 0.1


class Bench:
    """All runs of all shapes."""

    def __init__(self, bed: Bed, report: Report, table: Table, patience_s: float) -> None:
        self._bed = bed
        self._report = report
        self._table = table
        self._patience_s = patience_s
        self._wired = ""

    def shape(self, shape: Shape, turns: tuple[str, ...]) -> None:
        """Run a shape, bare and with each overlay, in turns."""
        rows = {overlay: self._table.row(shape, overlay) for overlay in OVERLAYS}
        for overlay in turns:
            self._chain(overlay)
            outcome = self._undisturbed(shape, overlay)
            if overlay:
                rows[overlay].wired(outcome)
            for row in () if overlay else rows.values():
                row.bare(outcome)

    def _undisturbed(self, shape: Shape, overlay: str) -> Outcome:
        """Return a run in which the processors were the cluster's, or the least disturbed of several."""
        outcomes: list[Outcome] = []
        for _ in range(TRIES):
            self._report.quiet(self._patience_s)
            run = Run(self._bed, shape)
            outcome = run.wired() if overlay else run.bare()
            told = f"{shape.name}, {overlay or 'bare'}: {outcome.ready_s:.2f} s"
            print(f"{told}, others {outcome.spent.others:.0%}", flush=True)
            outcomes.append(outcome)
            if outcome.spent.others <= DISTURBED:
                break
        return min(outcomes, key=lambda outcome: outcome.spent.others)

    def _chain(self, overlay: str) -> None:
        """Have the nodes as a run needs them."""
        if overlay == self._wired:
            return
        if self._wired:
            self._bed.unwire()
        if overlay:
            self._bed.wire(OVERLAYS[overlay])
        self._wired = overlay


def main() -> None:
    asked = box.options(
        __doc__,
        image={"type": Path, "default": ROOT / "build" / "meshnet.tar", "help": "default: build/meshnet.tar"},
        shape={"metavar": "NAME", "action": "append", "help": "only those whose names contain this"},
    )
    if not asked.image.exists():
        sys.exit(f"{asked.image}: no such file: make image")
    shapes = [
        each for each in (QUICK if asked.quick else ALL) if not asked.shape or any(n in each.name for n in asked.shape)
    ]
    turns = TURNS[:4] if asked.quick else TURNS * asked.rounds
    report = Report("bench_cluster", len(turns), asked.output)
    table = Table(report)
    with Bed.running(asked.image) as bed:
        bench = Bench(bed, report, table, asked.patience)
        for shape in shapes:
            bench.shape(shape, turns)
    table.print()
    report.save()


if __name__ == "__main__":
    main()
