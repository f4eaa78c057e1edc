"""Whether this machine can have a cluster, and if not, why."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.cluster.machine import cgroups
from tests.cluster.machine.boot import SYSTEM_PATH
from tests.cluster.machine.record import BASE

PROGRAMS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "busybox": "busybox-static",
}
"""What nodes run besides what is built, and whose package each is."""


PER_NODE, PER_CLUSTER = 9, 11
"""Inotify instances that the daemons of a node, and of a control plane, hold."""
_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
_FILE_SYSTEMS = Path("/proc/filesystems")
_MOUNTS = Path("/proc/self/mountinfo")


def why_not_now(nodes: int) -> str:
    """Return what there is too little of for one more cluster, or ``""``: daemons would fail for it one by one."""
    limit, needed = int(_LIMIT.read_text()), PER_NODE * nodes + PER_CLUSTER
    used = sum(_is_inotify(path) for path in Path("/proc").glob("[0-9]*/fd/*"))
    if limit - used >= needed:
        return ""
    says = f"{limit - used} of {limit} inotify instances are free (fs.inotify.max_user_instances)"
    return f"a cluster of {nodes} nodes needs {needed} inotify instances: {says}; take another cluster down"


def _is_inotify(path: Path) -> bool:
    try:
        return str(path.readlink()) == "anon_inode:inotify"
    except OSError:
        return False


def why_not() -> str:
    """Return what this machine lacks for a cluster, or ``""``. A lone API server needs less: openssl and ip."""
    if os.geteuid() != 0:
        return "a cluster's nodes need root"
    missing = {package for program, package in PROGRAMS.items() if not shutil.which(program, path=SYSTEM_PATH)}
    if missing:
        return f"a cluster's nodes need {', '.join(sorted(missing))}: scripts/system-packages cluster"
    if reason := cgroups.why_not():
        return f"a cluster's nodes need {reason}"
    if not _has_overlayfs():
        return "a cluster's nodes need overlayfs, which this kernel has not got"
    if _is_overlay(BASE if BASE.exists() else BASE.parent):
        return f"a cluster's nodes need {BASE} not to be on an overlay, as a container's files are: mount a tmpfs there"
    return ""


def _has_overlayfs() -> bool:
    """Whether the kernel has overlayfs, or a module of it, as Debian's: the first mount loads that."""
    if "overlay" in _FILE_SYSTEMS.read_text():
        return True
    modprobe = shutil.which("modprobe", path=SYSTEM_PATH)
    command = [str(modprobe), "--dry-run", "--quiet", "overlay"]
    return modprobe is not None and subprocess.run(command, check=False).returncode == 0


def _is_overlay(path: Path) -> bool:
    """Whether files are an overlay's: no other overlay can write to those."""
    device = path.stat().st_dev
    for line in _MOUNTS.read_text().splitlines():
        place, _, kind = line.partition(" - ")
        if place.split()[2] == f"{os.major(device)}:{os.minor(device)}":
            return kind.startswith("overlay ")
    return False
