"""A node's file system, as its first process sets it up from inside.

It is this machine's own under a layer that is the node's: what a node or a privileged pod writes, wherever that is, is
the node's alone, is there again after a reboot, and is gone with the cluster.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.machine.boot import ROOT
from tests.cluster.machine.commands import run

if TYPE_CHECKING:
    from tests.cluster.machine.daemons import Machine

KUBELET_WANTS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}
"""Settings of the whole kernel which a kubelet changes where they differ; seeing them so, it leaves the real ones."""
OWN_DISKS = ("/var/lib/containerd", "/var/lib/kubelet")
"""Not in the layer: an overlay's files cannot be another overlay's."""
_OLD = "run/old"


def set_up(machine: Machine) -> None:
    """Make the file system of a node, and make it this process's."""
    directory = Path(machine.directory)
    disk, root = directory / "disk", directory / "root"
    layers = f"lowerdir=/,upperdir={disk / 'upper'},workdir={disk / 'work'}"
    _mount("-t", "overlay", "-o", layers, "node", root)
    for path in _elsewhere(machine):
        _bind(path, root / path.relative_to("/"))
    for own in OWN_DISKS:
        _bind(disk / Path(own).name, root / own[1:])
    _mount_system(root, machine.node["cgroups"])
    _enter(root)
    socket.sethostname(machine.name)
    _pretend(directory / "sysctl")
    # not before all these, or each would be mounted twice; and not never, or pods' mounts would not be seen by others
    _mount("--make-rshared", "/")


def _elsewhere(machine: Machine) -> list[Path]:
    """What is needed by the same path inside, and is not in the layers: it is elsewhere, or is written here, too."""
    directory = Path(machine.directory)
    device = Path("/").stat().st_dev
    needed = [Path(sys.base_prefix), Path(sys.prefix), ROOT, *map(Path, machine.node["programs"])]
    return [directory, *(path for path in needed if path.stat().st_dev != device)]


def _mount_system(root: Path, controllers: list[str]) -> None:
    _mount("-t", "proc", "proc", root / "proc")
    _mount("-t", "sysfs", "sysfs", root / "sys")
    _mount_cgroups(root / "sys/fs/cgroup", controllers)
    _mount("--rbind", "/dev", root / "dev")
    _mount("-t", "tmpfs", "-o", "mode=755", "run", root / "run")
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmp", root / "tmp")
    for name in ("lock", "netns", ".proc", "old"):
        (root / "run" / name).mkdir()
    # one without our binds in it: the kernel lets pods with user namespaces mount theirs only where such a one is
    _mount("-t", "proc", "proc", root / "run/.proc")


def _mount_cgroups(place: Path, controllers: list[str]) -> None:
    """Mount the node's own control groups: each hierarchy of version 1 by its controllers, or that of version 2."""
    if not controllers:
        _mount("-t", "cgroup2", "cgroup2", place)
        return
    _mount("-t", "tmpfs", "-o", "mode=755", "cgroup", place)
    for hierarchy in controllers:
        (place / hierarchy).mkdir()
        _mount("-t", "cgroup", "-o", hierarchy, "cgroup", place / hierarchy)
        for name in hierarchy.split(",") if "," in hierarchy else ():
            (place / name).symlink_to(hierarchy)


def _enter(root: Path) -> None:
    """Leave the old root behind; it stays mounted below the new one for as long as nobody has left it."""
    os.chdir(root)
    run(["pivot_root", ".", _OLD])
    os.chdir("/")
    run(["umount", "--lazy", f"/{_OLD}"])
    Path("/", _OLD).rmdir()


def _pretend(files: Path) -> None:
    files.mkdir(exist_ok=True)
    for name, value in KUBELET_WANTS.items():
        file = files / name.replace("/", ".")
        file.write_text(f"{value}\n")
        _mount("--bind", file, Path("/proc/sys", name))


def _bind(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    _mount("--bind", source, target)


def _mount(*words: str | Path) -> None:
    run(["mount", *words])
