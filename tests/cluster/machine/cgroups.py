"""A cluster's control groups, below those of who starts it: version 1, one hierarchy or more for the controllers.

A node gets a group in each; in its cgroup namespace they are the roots, so its kubelet needs no setting of its own.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.cluster.machine.errors import ClusterError

NEEDED = frozenset({"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"})
_REMOVE_S = 30.0
_INHERITED = ("cpuset.cpus", "cpuset.mems")
"""In a new group of version 1 these are empty, and no process can join it."""


def hierarchies() -> dict[str, Path]:
    """Return this process's own group by the controllers of its hierarchy, as the kernel has them: ``cpu,cpuacct``."""
    mounted = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        place, _, kind = line.partition(" - ")
        fields = kind.split()
        if fields[0] == "cgroup":
            mounted[frozenset(fields[2].split(",")) & NEEDED] = place.split()[4]
    found = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        needed = frozenset(controllers.split(",")) & NEEDED
        if needed and needed in mounted:
            found[controllers] = Path(mounted[needed] + path)
    return found


def tops(cluster: str) -> list[Path]:
    """Return the group of a cluster in each hierarchy, there or not."""
    return [own / f"meshnet-{cluster}" for own in hierarchies().values()]


def make(cluster: list[Path], node: str) -> list[Path]:
    """Make the groups of a node, below its cluster's, and return the files that a process joins them by."""
    joined = []
    for top in cluster:
        for group in (top, top / node):
            group.mkdir(exist_ok=True)
            for name in _INHERITED:
                if (group / name).exists():
                    (group / name).write_text((group.parent / name).read_text())
        joined.append(top / node / "cgroup.procs")
    return joined


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


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
