"""Commands that act inside a lab: they enter its namespaces, and are from then on on that machine."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING

from meshnet.errors import KernelError, MeshnetError
from meshnet.lab import syscalls
from meshnet.model.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from meshnet.lab.record import LabRecord

KINDS: Mapping[str, int] = {
    "user": syscalls.CLONE_NEWUSER,
    "net": syscalls.CLONE_NEWNET,
    "uts": syscalls.CLONE_NEWUTS,
    "ipc": syscalls.CLONE_NEWIPC,
    "pid": syscalls.CLONE_NEWPID,
    "mnt": syscalls.CLONE_NEWNS,
}
"""Namespaces by their name in /proc, in the order of entering: user first, for the rights; mounts last."""

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def enter_box(record: LabRecord) -> bool:
    """Move the calling process, which has one thread, to the lab's files: its mounts, and its rights over them.

    Its network and its PID namespace stay, so /proc/self is not there any more. The working directory stays where the
    box has it too. Return whether the lab is in a chroot.

    Raises MeshnetError when the lab has ended meanwhile, has no files of its own yet, or may not be entered.
    """
    return _enter(record, ("user", "mnt"))


def in_child_of_box(record: LabRecord, function: Callable[[], int]) -> Callable[[], int]:
    """Start a child that is entirely in the lab's box, where it runs `function`; the calling process stays outside.

    Returns what waits for the child and returns its exit code, which is what `function` returned. The child says itself
    why it could not: when the lab has ended meanwhile or may not be entered.
    """

    def inside() -> int:
        _enter(record, tuple(KINDS))
        return run_forked(function)

    pid = start_forked(inside)
    return lambda: wait_for(pid)


def path_of(pid: int | str, place: str) -> str:
    """Return the file that is a process's namespace of a kind, or its ``root``."""
    return f"/proc/{pid}/root" if place == "root" else f"/proc/{pid}/ns/{place}"


def enter_namespaces(descriptors: Mapping[str, int]) -> None:
    """Move the calling process, which has one thread, into namespaces given by kind, and to a ``root`` in them.

    Who enters mounts gets the root of all of them; a lab in a chroot has another one. Raises KernelError, OSError.
    """
    for kind, flag in KINDS.items():
        if kind in descriptors:
            syscalls.setns(descriptors[kind], flag)
    if "root" in descriptors:
        os.fchdir(descriptors["root"])
        os.chroot(".")


def run_forked(function: Callable[[], int]) -> int:
    """Run `function` in a child and return its exit code, as a shell has it. Signals meant for it are passed on."""
    return wait_for(start_forked(function))


def start_forked(function: Callable[[], int]) -> int:
    """Run `function` in a child; return its pid."""
    _flush()  # what waits to be written would be written by both
    pid = syscalls.fork()
    if pid == 0:
        code = 1
        try:
            code = function()
        except MeshnetError as error:
            os.write(2, f"error: {printable(str(error))}\n".encode())
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
        except Exception:  # noqa: BLE001 - a bug, which shows its traceback; its parent's code is not for this process
            import traceback  # noqa: PLC0415 - only for a bug

            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                _flush()
            os._exit(code)
    return pid


def wait_for(pid: int, status_of: Callable[[int], int] = lambda pid: os.waitpid(pid, 0)[1]) -> int:
    """Wait for a child that has the terminal, and return its exit code, as a shell has it.

    `status_of` waits for its end and returns its status as the kernel has it.
    """

    def forward(number: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    # the terminal sends these to the child as well, and it is the child that decides what they mean
    before |= {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
    try:
        status = status_of(pid)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return shell_code(os.waitstatus_to_exitcode(status))


def shell_code(code: int) -> int:
    """Return an exit code as a shell has it: 128 and the number of a signal, for what is minus that number here."""
    return 128 - code if code < 0 else code


def not_started_code(error: OSError) -> int:
    """Return the exit code, as a shell has it, of a command that could not be started: not found, or not to be run."""
    return 127 if isinstance(error, FileNotFoundError) else 126


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def working_directory() -> str:
    """Return where the calling process is; ``/`` where that directory was deleted."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return "/"


def _enter(record: LabRecord, kinds: Sequence[str]) -> bool:
    directory = working_directory()
    with contextlib.ExitStack() as stack:
        try:
            descriptors = {}
            for kind in (*kinds, "root"):
                path = path_of(record.pid, kind)
                if kind == "user" and os.stat(path).st_ino == os.stat("/proc/self/ns/user").st_ino:
                    continue  # root's lab has none of its own
                descriptors[kind] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, descriptors[kind])
            if os.stat("run", dir_fd=descriptors["root"]).st_dev == os.stat("/run").st_dev:
                # its record is written first: until it has mounts of its own, its files are this machine's
                raise MeshnetError(f"lab {record.name!r}: it is only starting (pid {record.pid}); try again")
            chroot = os.readlink(path_of(record.pid, "root")) != "/"  # as seen from outside of its mounts
            if not record.alive:
                raise ProcessLookupError(3, "No such process")
            enter_namespaces(descriptors)
        except (OSError, KernelError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise MeshnetError(f"lab {record.name!r}: cannot enter it (pid {record.pid}): {why}") from error
    with contextlib.suppress(OSError):
        os.chdir(directory)
    return chroot
