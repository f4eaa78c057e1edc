"""The box of a lab: its namespaces under one first process, and what that process mounts."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import attrs

from meshnet.errors import KernelError, MeshnetError
from meshnet.lab import syscalls, userns
from meshnet.lab.boot import cover_init
from meshnet.lab.channel import Channel, ChannelClosed, close_others, pair
from meshnet.lab.places import NETNS, OWN, RUN, SUPERVISOR_LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshnet.lab.record import LabRecord, LabRecords

_NAMESPACES = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWIPC


@attrs.frozen
class Box:
    """A box that has just been made.

    Attributes:
        record: what stands outside.
        channel: to its first process. The box ends when this closes, until the first process was told otherwise.
    """

    record: LabRecord
    channel: Channel


def make_box(name: str, records: LabRecords, first: Callable[[Channel], None]) -> Box:
    """Make a box; its first process prepares it and runs `first`, and the box ends when that returns.

    The record is written before the box has any namespace with something in it, and nothing outlives the caller.

    Raises:
        UsageError: a lab of that name runs.
        MeshnetError: the machine does not allow it, and which setting to change.
    """
    ours, theirs = pair()
    maker = syscalls.fork()
    if maker == 0:
        _maker(theirs, ours, name, first)
    theirs.close()
    try:
        record = _midwife(ours, maker, name, records)
    except BaseException:
        ours.close()
        raise
    finally:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(maker, 0)
    return Box(record, ours)


def _midwife(channel: Channel, maker: int, name: str, records: LabRecords) -> LabRecord:
    """Answer what the maker and the first process ask until the box stands."""
    record = None
    try:
        while True:
            message = channel.receive()
            if "error" in message:
                raise MeshnetError(str(message["error"]))
            if message["ready"]:
                assert record is not None
                return record
            if "pid" in message:
                record = records.create(name, int(message["pid"]))
            else:
                userns.write_maps(maker)
            channel.send({})
    except BaseException as error:
        channel.close()  # ends whatever has been made
        if record is not None:
            records.forget(record)
        if isinstance(error, ChannelClosed):
            raise MeshnetError(f"lab {name!r}: its first process ended before the box was ready") from error
        raise


def _maker(channel: Channel, other: Channel, name: str, first: Callable[[Channel], None]) -> NoReturn:
    """Make the outer namespaces and the first process, tell its pid, and go."""
    other.close()
    with _reporting(channel):
        os.setsid()
        if not syscalls.may_make_namespaces():
            try:
                syscalls.unshare(syscalls.CLONE_NEWUSER)
            except KernelError as error:
                raise userns.refused(error) from error
            channel.send({"ready": False})
            channel.receive()  # the maps are written
        syscalls.unshare(syscalls.CLONE_NEWPID)
        pid = syscalls.fork()
        if pid == 0:
            _first_process(channel, name, first)
        channel.send({"ready": False, "pid": pid})
    os._exit(0)


def _first_process(channel: Channel, name: str, first: Callable[[Channel], None]) -> NoReturn:
    with _reporting(channel):
        channel.receive()  # the record is written
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.umask(0o022)  # the caller's is for the caller's files: in a pod others than root read theirs, too
        syscalls.unshare(_NAMESPACES)
        close_others((channel.fileno(),))
        prepare(name)
        channel.send({"ready": True})
        first(channel)
    os._exit(0)


@contextlib.contextmanager
def _reporting(channel: Channel) -> Iterator[None]:
    """End this forked process by `os._exit`, after telling the caller what went wrong."""
    try:
        yield
    except BaseException as caught:  # noqa: BLE001 - a forked process must not run its parent's code
        error = _alone(caught)
        with contextlib.suppress(MeshnetError):
            channel.send({"ready": False, "error": str(error) if isinstance(error, MeshnetError) else repr(error)})
        if not isinstance(error, MeshnetError):
            import traceback  # noqa: PLC0415 - only for a bug

            traceback.print_exc()
        os._exit(1)


def _alone(error: BaseException) -> BaseException:
    """Return the one error of a group: a task group wraps what its tasks raise."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def prepare(name: str) -> None:
    """Mount what the box has of its own; the calling process is its first. Raises MeshnetError."""
    _keep_mounts()
    mount_proc()
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount(OWN, "/run", "tmpfs", flags, "mode=755")
    syscalls.mount("tmpfs", "/dev/shm", "tmpfs", flags, "mode=1777")  # noqa: S108 - shared memory of the box alone
    for directory in (NETNS, Path("/run/lock"), RUN):
        directory.mkdir(mode=0o755)
    RUN.chmod(0o700)
    mount_sysfs()
    cover_init()
    socket.sethostname(name)
    os.chdir("/")
    _leave_the_callers_files()


def mount_proc() -> None:
    """Mount a /proc of the PID namespace of the caller; root's cannot change the machine through it."""
    syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
    if not _machine_root():
        return  # an ordinary user can write nothing of the machine there
    # the network's settings are those of the reader's own network namespace: they stay writable
    syscalls.bind("/proc/sys", "/proc/sys", read_only=True)
    syscalls.bind("/proc/sys/net", "/proc/sys/net")
    syscalls.mount(None, "/proc/sys/net", None, syscalls.MS_BIND | syscalls.MS_REMOUNT)


def mount_sysfs() -> None:
    """Mount a /sys that shows the interfaces of the caller's network namespace."""
    syscalls.mount("sysfs", "/sys", "sysfs", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)


def own_sysfs_of_this_process() -> None:
    """Give the calling process, which is in the box, a /sys of its own network namespace. Raises MeshnetError."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    _keep_mounts()
    mount_sysfs()


def _keep_mounts() -> None:
    """Keep what is mounted here from other namespaces. Raises MeshnetError."""
    try:
        syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    except KernelError as error:
        if error.errno != errno.EINVAL:
            raise
        told = "the root directory is no mount point, as in most chroots"
        raise MeshnetError(f"{told}: `mount --bind DIR DIR` goes before `chroot DIR`") from error


def _machine_root() -> bool:
    """Tell whether root here is the machine's root, not that of a user namespace."""
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def _leave_the_callers_files() -> None:
    """Let go of the caller's terminal."""
    log = os.open(SUPERVISOR_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(null)
    os.close(log)
