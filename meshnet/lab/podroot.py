"""What a pod sees: its own /proc, /sys, /run, hostname and volumes, over the machine's files."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.lab import syscalls
from meshnet.lab.box import RUN, mount_proc, mount_sysfs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshnet.lab.podspec import Container, PodSpec, Volume, VolumeMount

VOLUMES = RUN / "volumes"
_FILES = RUN / "files"
_TMPFS = syscalls.MS_NOSUID | syscalls.MS_NODEV


def volume_directory(pod: PodSpec, volume: Volume) -> Path:
    """Return where a volume's files are in the box."""
    return VOLUMES / f"{pod.namespace}_{pod.name}" / volume.name


def write_volumes(pod: PodSpec) -> None:
    """Make the directories of a pod's volumes in the box, once before its first container."""
    for volume in pod.volumes:
        directory = volume_directory(pod, volume)
        directory.mkdir(parents=True, exist_ok=True)
        if volume.files is None:
            directory.chmod(0o777)
        for name, content in (volume.files or {}).items():
            file = directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(volume.mode)


def hostname_file(hostname: str) -> Path:
    """Return the file that a pod sees as /etc/hostname; it is made when missing."""
    file = _FILES / hostname
    if not file.exists():
        _FILES.mkdir(exist_ok=True)
        file.write_text(hostname + "\n")
    return file


def enter_pod_root(pod: PodSpec, container: Container | None) -> None:
    """Give the calling process the mounts and the hostname of a pod.

    The caller is in the pod's network namespace and the first process of its PID namespace, single-threaded, and its
    mounts are private. Raises KernelError.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC)
    socket.sethostname(pod.hostname)
    mount_proc()
    mount_sysfs()
    # the pod's /run comes last and hides the box's, from where the volumes come: hold these open
    sources = {volume.name: _hold(volume_directory(pod, volume)) for volume in pod.volumes}
    hostname = _hold(hostname_file(pod.hostname))
    syscalls.mount("tmpfs", "/run", "tmpfs", _TMPFS, "mode=755")
    if Path("/etc/hostname").exists():
        syscalls.bind(f"/proc/self/fd/{hostname}", "/etc/hostname")
    for mount in sorted(container.mounts if container else (), key=lambda mount: mount.path):
        _mount_volume(mount, sources[mount.volume])
    for fd in (hostname, *sources.values()):
        os.close(fd)


def _hold(path: Path) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _mount_volume(mount: VolumeMount, source: int) -> None:
    from_path = Path(f"/proc/self/fd/{source}", mount.sub_path)
    target = Path(mount.path)
    if from_path.is_dir() and not target.is_dir():
        make_place(target, directory=True)
    elif not from_path.is_dir() and not target.exists():
        make_place(target, directory=False)
    syscalls.bind(from_path, target, read_only=mount.read_only)


def make_place(target: Path, *, directory: bool) -> None:
    """Make a place to mount on that the machine does not have, without touching the machine.

    The nearest directory that exists is covered by a tmpfs that shows all that was in it.
    """
    existing = next(parent for parent in target.parents if parent.is_dir())
    # the machine's own tmpfs that an earlier mount of this pod made is written to as it is
    if not _is_cover(existing):
        _cover(existing)
    target.parent.mkdir(parents=True, exist_ok=True)
    if directory:
        target.mkdir(exist_ok=True)
    else:
        target.touch()


_COVERS = "meshnet-cover"


def _is_cover(directory: Path) -> bool:
    lines = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    mounts: Mapping[str, str] = {fields[1]: fields[0] for fields in lines}
    nearest = next(str(place) for place in (directory, *directory.parents) if str(place) in mounts)
    return mounts[nearest] == _COVERS or nearest == "/run"


def _cover(directory: Path) -> None:
    """Put a tmpfs over `directory` with everything in it bound to its old place."""
    stage = Path("/run/.cover")
    stage.mkdir(exist_ok=True)
    syscalls.mount(_COVERS, stage, "tmpfs", 0, "mode=755")
    _bind_all(directory.iterdir(), stage)
    if directory == Path("/"):
        syscalls.pivot_root(stage)
    else:
        syscalls.bind(stage, directory)


def _bind_all(entries: Iterable[Path], into: Path) -> None:
    for entry in entries:
        place = into / entry.name
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
        elif entry.is_dir():
            place.mkdir()
            syscalls.bind(entry, place)
        elif entry.exists():
            place.touch()
            syscalls.bind(entry, place)
