"""What a pod sees: its own /proc, /sys, /run, hostname and volumes, over the machine's files."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.lab import syscalls
from meshnet.lab.box import mount_proc, mount_sysfs
from meshnet.lab.places import OWN, RUN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshnet.lab.podspec import Container, PodSpec, Volume, VolumeMount

VOLUMES = RUN / "volumes"
_TMPFS = syscalls.MS_NOSUID | syscalls.MS_NODEV
_SHELF = Path("/proc/fs")
"""Where a pod's volumes and covers are until they are mounted. A volume may be mounted over /run and /sys, but over
/proc runtimes mount none."""


def volume_directory(pod: PodSpec, volume: Volume) -> Path:
    """Return where a volume's files are in the box."""
    return VOLUMES / f"{pod.namespace}_{pod.name}" / volume.name


def write_volumes(pod: PodSpec) -> None:
    """Make the directories of a pod's volumes in the box anew, once before its first container."""
    for volume in pod.volumes:
        directory = volume_directory(pod, volume)
        if directory.exists():
            shutil.rmtree(directory)  # what the pod has left there when it ran before
        directory.mkdir(parents=True)
        if volume.files is None:
            directory.chmod(0o777)
        for name, content in (volume.files or {}).items():
            file = directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(volume.mode_of(name))


def enter_pod_root(pod: PodSpec, container: Container | None) -> None:
    """Give the calling process the mounts and the hostname of a pod.

    The caller is in the pod's network namespace and the first process of its PID namespace, single-threaded, and its
    mounts are private. Raises KernelError.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC)
    socket.sethostname(pod.hostname)
    mount_proc()
    mount_sysfs()
    mounts = sorted(container.mounts if container else (), key=lambda mount: mount.path)
    directory = Path(container.directory if container else "/").resolve()
    shelved = bool(mounts) or not directory.is_dir()
    if shelved:
        _fill_shelf(pod)
    syscalls.mount(OWN, "/run", "tmpfs", _TMPFS, "mode=755")
    hostname = Path("/run/hostname")
    hostname.write_text(pod.hostname + "\n")
    if Path("/etc/hostname").exists():
        syscalls.bind(hostname, "/etc/hostname")
    for mount in mounts:
        _mount_volume(mount)
    if not directory.is_dir():
        make_place(directory, directory=True)
    if shelved:
        syscalls.unmount(_SHELF)


def _fill_shelf(pod: PodSpec) -> None:
    """Have a pod's volumes at hand when the box's /run, from where they come, is out of sight."""
    syscalls.mount("tmpfs", _SHELF, "tmpfs", _TMPFS, "mode=755")
    for volume in pod.volumes:
        (_SHELF / volume.name).mkdir()
        syscalls.bind(volume_directory(pod, volume), _SHELF / volume.name)


def _mount_volume(mount: VolumeMount) -> None:
    # a symbolic link, as /var/run, would have mounts in another place than what is asked about them
    source, target = _SHELF / mount.volume / mount.sub_path, Path(mount.path).resolve()
    if not source.exists():
        _make_in_volume(source, _SHELF / mount.volume)
    if source.is_dir() and not target.is_dir():
        make_place(target, directory=True)
    elif not source.is_dir() and not target.exists():
        make_place(target, directory=False)
    syscalls.bind(source, target, read_only=mount.read_only)


def _make_in_volume(directory: Path, volume: Path) -> None:
    """Make a directory, and those above it, with the mode of their volume: not root alone may write there."""
    missing = [parent for parent in (directory, *directory.parents) if not parent.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)  # another container of the pod may start now, too
        each.chmod(stat.S_IMODE(volume.stat().st_mode))


def make_place(target: Path, *, directory: bool) -> None:
    """Make a place to mount on that the machine does not have, without touching the machine.

    The nearest directory that exists is covered by a tmpfs that shows all that was in it.
    """
    existing = next(parent for parent in target.parents if parent.is_dir())
    # what is the lab's already, a cover, a volume or the pod's /run, is written to as it is
    if not (_is_own(existing) and os.access(existing, os.W_OK)):
        _cover(existing)
    target.parent.mkdir(parents=True, exist_ok=True)
    if directory:
        target.mkdir(exist_ok=True)
    else:
        target.touch()


def _is_own(directory: Path) -> bool:
    lines = (line.split() for line in Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines())
    mounts: Mapping[str, str] = {fields[1]: fields[0] for fields in lines}
    nearest = next(str(place) for place in (directory, *directory.parents) if str(place) in mounts)
    return mounts[nearest] == OWN


def _cover(directory: Path) -> None:
    """Put a tmpfs over `directory` with everything in it bound to its old place."""
    stage = _SHELF / ".cover"
    stage.mkdir()
    syscalls.mount(OWN, stage, "tmpfs", 0, "mode=755")
    # else it would be part of the /proc that is bound into it
    syscalls.mount(None, stage, None, syscalls.MS_UNBINDABLE)
    _bind_all(directory.iterdir(), stage)
    syscalls.mount(None, stage, None, syscalls.MS_PRIVATE)  # a later cover may have to bind it
    if directory == Path("/"):
        syscalls.pivot_root(stage)
    else:
        syscalls.mount(str(stage), directory, None, syscalls.MS_MOVE)
    stage.rmdir()


def _bind_all(entries: Iterable[Path], into: Path) -> None:
    for entry in entries:
        # others may take it away meanwhile, as in the machine's /tmp
        try:
            _bind_to(entry, into / entry.name)
        except (KernelError, OSError) as error:
            if error.errno != errno.ENOENT:
                raise


def _bind_to(entry: Path, place: Path) -> None:
    """Show one at `place`, if it is there. Raises KernelError, OSError."""
    if entry.is_symlink():
        place.symlink_to(entry.readlink())
        return
    if entry.is_dir():
        place.mkdir()
        undo = place.rmdir
    elif entry.exists():
        place.touch()
        undo = place.unlink
    else:
        return
    try:
        syscalls.bind(entry, place)
    except KernelError:
        undo()
        raise
