"""Processor time: of a whole cluster, and of everybody else on the machine meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from figures import cpu_times, process_seconds

from tests.cluster.machine import cgroups, running

if TYPE_CHECKING:
    from tests.cluster.machine.cluster import Cluster

_TICK = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Processor seconds since some time in the past.

    Attributes:
        cluster: of the nodes with all that runs on them, and of the control plane.
        used, idle: of the whole machine.
    """

    cluster: float
    used: float
    idle: float

    @classmethod
    def now(cls, cluster: Cluster) -> Spent:
        total, idle = cpu_times()
        return cls(_nodes(cluster) + _control_plane(cluster), (total - idle) / _TICK, idle / _TICK)

    def since(self, before: Spent) -> Spent:
        """Return what was spent from `before` to this."""
        return Spent(*(now - then for now, then in zip(self, before, strict=True)))

    @property
    def others(self) -> float:
        """The share of the machine, 0 to 1, that neither the cluster took nor nobody; with that of the benchmark."""
        return max(0.0, self.used - self.cluster) / (self.used + self.idle)


def _nodes(cluster: Cluster) -> float:
    """Return what the nodes' control groups have taken."""
    return sum(of_group(top) for top in cgroups.tops(cluster.name))


def of_group(group: Path) -> float:
    """Return what a group has taken: in version 1 one hierarchy alone counts it."""
    version_1, version_2 = group / "cpuacct.usage", group / "cpu.stat"
    if version_1.exists():
        return int(version_1.read_text()) / 1e9
    counts = dict(line.split() for line in version_2.read_text().splitlines()) if version_2.exists() else {}
    return int(counts.get("usage_usec", 0)) / 1e6


def _control_plane(cluster: Cluster) -> float:
    """Return what the processes of its machine have taken that still run; those are all that last."""
    machine = running.read(cluster.plane.directory)
    assert machine is not None
    namespace = os.readlink(f"/proc/{machine.first.pid}/ns/pid")
    seconds = 0.0
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and os.readlink(process / "ns/pid") == namespace:
                seconds += process_seconds((process / "stat").read_text())
        except OSError:  # it has ended
            continue
    return seconds
