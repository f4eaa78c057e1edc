"""Control groups of version 2, as a cluster's nodes need them: one hierarchy, in which controllers are handed down.

A group whose processes are its own hands none down to those below it, unless it is the first of all. Groups of sessions
and services are such, so a cluster's is not below that of who starts it, but directly below the first that is seen
here. And a node's processes go to a group of their own beside those of its pods, once the node's group is the root of
its cgroup namespace.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.cluster.machine.errors import ClusterError

NEEDED = ("cpu", "cpuset", "memory", "pids")
"""What a kubelet expects in the groups of pods. Devices and freezing are no controllers in this version."""
MOUNTS = Path("/proc/self/mountinfo")
_PROCESSES = "processes"


def first() -> Path | None:
    """Return the first group that is seen here; None where the hierarchy is not mounted, or something is over it."""
    for line in reversed(MOUNTS.read_text().splitlines()):
        place, _, kind = line.partition(" - ")
        group = Path(place.split()[4])
        if kind.startswith("cgroup2 ") and (group / "cgroup.controllers").exists():
            return group
    return None


def why_not() -> str:
    """Return what keeps this process from having groups with all controllers, or ``""``."""
    group = first()
    if group is None:
        return "control groups, and none are mounted here"
    missing = [name for name in NEEDED if name not in (group / "cgroup.controllers").read_text().split()]
    if missing:
        return f"control groups with all of {', '.join(NEEDED)}; not so in {group}: {', '.join(missing)}"
    if not os.access(group / "cgroup.subtree_control", os.W_OK):
        return f"to make control groups in {group}, which is mounted read-only here"
    if _hands_nothing_down(group):
        moved = f"mkdir {group}/init; xargs -rn1 <{group}/cgroup.procs >{group}/init/cgroup.procs"
        return f"controllers below {group}, where a container's own processes are in the way; move them: {moved}"
    return ""


def make(cluster: Path, node: str) -> Path:
    """Make the group of a node, below its cluster's, and return the file that a process joins it by."""
    for group in (cluster, cluster / node):
        group.mkdir(exist_ok=True)
        _hand_down(group.parent)
    return cluster / node / "cgroup.procs"


def settle(node: Path) -> None:
    """Move the processes of a node, which have joined its group, below that, so that there can be others beside them.

    To be called when its cgroup namespace is there, and before it starts anything.
    """
    own = node / _PROCESSES
    own.mkdir()
    for pid in (node / "cgroup.procs").read_text().split():
        (own / "cgroup.procs").write_text(pid)
    _hand_down(node)


def _hand_down(group: Path) -> None:
    """Give those below a group all controllers.

    In the first group they stay: nobody here knows who else uses them by now. Where it is systemd's, that takes back
    what no unit wants; but the kernel lets nobody do so as long as a group below gives them on.

    Raises:
        ClusterError: the kernel refuses.
    """
    try:
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in NEEDED))
    except OSError as error:
        raise ClusterError(f"{group} gives no {', '.join(NEEDED)} to groups below it: {error.strerror}") from error


def _hands_nothing_down(group: Path) -> bool:
    """Whether a group has processes of its own and is not the kernel's first, which alone has no type."""
    return (group / "cgroup.type").exists() and bool((group / "cgroup.procs").read_text().split())
