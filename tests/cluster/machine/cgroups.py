"""A cluster's control groups: of version 1 where that has controllers, and of version 2 (`unified`) elsewhere.

In version 1 there is one hierarchy or more for the controllers, and a cluster's group in each is below that of who
starts it. A node gets a group in each; in its cgroup namespace they are the roots, so its kubelet needs no setting of
its own.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.cluster.machine import unified
from tests.cluster.machine.errors import ClusterError

NEEDED = frozenset({"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"})
PROCESS = Path("/proc/self")
_REMOVE_S = 30.0
_INHERITED = ("cpuset.cpus", "cpuset.mems")
"""In a new group of version 1 these are empty, and no process can join it."""


def hierarchies() -> dict[str, Path]:
    """Return this process's own group of version 1 by the controllers of its hierarchy, as the kernel has them.

    That is ``cpu,cpuacct``, say. Where version 2 has all there is none.
    """
    mounted = {}
    for line in (PROCESS / "mountinfo").read_text().splitlines():
        place, _, kind = line.partition(" - ")
        fields = kind.split()
        if fields[0] == "cgroup":
            mounted[frozenset(fields[2].split(",")) & NEEDED] = place.split()[4]
    found = {}
    for line in (PROCESS / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        needed = frozenset(controllers.split(",")) & NEEDED
        if needed and needed in mounted:
            found[controllers] = Path(mounted[needed] + path)
    return found


def why_not() -> str:
    """Return which control groups a node needs that it cannot have here, or ``""``."""
    found = {name for names in hierarchies() for name in names.split(",")}
    if not found:
        return unified.why_not()
    lacking = ", ".join(sorted(NEEDED - found))
    return f"control groups all of version 1, or all of version 2; of 1 are not here: {lacking}" if lacking else ""


def tops(cluster: str) -> list[Path]:
    """Return the group of a cluster in each hierarchy, there or not."""
    above = hierarchies().values() or filter(None, [unified.first()])
    return [group / f"meshnet-{cluster}" for group in above]


def make(cluster: list[Path], node: str) -> list[Path]:
    """Make the groups of a node, below its cluster's, and return the files that a process joins them by.

    Those of a node that ended by itself are removed first: nothing can join what has groups of pods in version 2.
    """
    remove([top / node for top in cluster])
    return [unified.make(top, node) if _is_unified(top) else _make(top, node) for top in cluster]


def settle(cluster: list[Path], node: str) -> None:
    """Make room for groups of pods in those of a node, whose first process has joined them and waits."""
    for top in cluster:
        if _is_unified(top):
            unified.settle(top / node)


def remove(groups: list[Path]) -> None:
    """Remove groups with all below them: their processes have ended, or are about to be gone.

    Raises:
        ClusterError: one has processes for too long.
    """
    deadline = time.monotonic() + _REMOVE_S
    for group in groups:
        for path, _, _ in os.walk(group, topdown=False):
            while not _removed(Path(path)):
                if time.monotonic() > deadline:
                    raise ClusterError(f"{path} still has processes: {Path(path, 'cgroup.procs').read_text().split()}")
                time.sleep(0.02)


def _make(cluster: Path, node: str) -> Path:
    for group in (cluster, cluster / node):
        group.mkdir(exist_ok=True)
        for name in _INHERITED:
            if (group / name).exists():
                (group / name).write_text((group.parent / name).read_text())
    return cluster / node / "cgroup.procs"


def _is_unified(top: Path) -> bool:
    return (top.parent / "cgroup.controllers").exists()


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
