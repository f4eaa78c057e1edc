"""A user namespace for who is not root: its maps, and which setting forbids it."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from pathlib import Path
from typing import NoReturn

from meshnet.errors import KernelError, MeshnetError
from meshnet.lab import syscalls

SETTINGS = (
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "a number above 0"),
)
"""The settings by which machines forbid user namespaces: the value that does, and what each must be."""


def write_maps(pid: int) -> None:
    """Map this user to root in the user namespace of process `pid`, and its subordinate ids, where it has any.

    The caller is the user that made the namespace, outside of it. Raises MeshnetError.
    """
    if not _write_ranges(pid):
        _write_single(pid)


def _write_single(pid: int) -> None:
    process = Path(f"/proc/{pid}")
    try:
        # without this the kernel lets nobody map a group that is not its own
        (process / "setgroups").write_text("deny")
        (process / "uid_map").write_text(f"0 {os.geteuid()} 1\n")
        (process / "gid_map").write_text(f"0 {os.getegid()} 1\n")
    except OSError as error:
        raise MeshnetError(f"user namespace: its maps cannot be written: {error.strerror}; {advice()}") from error


def _write_ranges(pid: int) -> bool:
    """Map ranges through the machine's set-user-id helpers; False where there are none for this user."""
    tools = shutil.which("newuidmap"), shutil.which("newgidmap")
    uids = subordinate(Path("/etc/subuid"))
    gids = subordinate(Path("/etc/subgid"))
    if None in tools or uids is None or gids is None:
        return False
    for tool, own, (start, count) in zip(tools, (os.geteuid(), os.getegid()), (uids, gids), strict=True):
        command = [str(tool), str(pid), "0", str(own), "1", "1", str(start), str(count)]
        done = subprocess.run(command, capture_output=True, check=False, timeout=10)
        if done.returncode != 0:
            if tool is tools[0]:
                return False
            raise MeshnetError(f"{tool}: {done.stderr.decode(errors='replace').strip()}")
    return True


def maps_ranges() -> bool:
    """Tell whether a lab of this user maps subordinate ids, by trying: its ranges alone do not tell.

    Set-user-id helpers may map nothing, as in containers that let no program have more rights. Raises MeshnetError
    where they map user ids and no group ids.
    """
    ours, theirs = socket.socketpair()
    child = syscalls.fork()
    if child == 0:
        ours.close()
        _stay_in_namespace(theirs)
    theirs.close()
    try:
        return bool(ours.recv(1)) and _write_ranges(child)
    finally:
        ours.close()
        os.waitpid(child, 0)


def _stay_in_namespace(caller: socket.socket) -> NoReturn:
    """Make a user namespace, say so, and stay in it as long as the caller wants."""
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        caller.send(b".")
        caller.recv(1)
    finally:
        os._exit(0)


def subordinate(table: Path) -> tuple[int, int] | None:
    """Return (first, count) of this user's first range in ``/etc/subuid`` or ``/etc/subgid``, or None."""
    try:
        lines = os.fsdecode(table.read_bytes()).splitlines()  # names may be any bytes
    except OSError:
        return None
    names = {str(os.geteuid())}
    with contextlib.suppress(KeyError):  # a uid without a name has its number only
        names.add(pwd.getpwuid(os.geteuid()).pw_name)
    for line in lines:
        owner, _, numbers = line.partition(":")
        start, _, count = numbers.partition(":")
        if owner in names and start.isdigit() and count.isdigit() and int(count) > 0:
            return int(start), int(count)
    return None


def refused(error: KernelError) -> MeshnetError:
    """Return the error that tells a user which setting of the machine to change."""
    return MeshnetError(f"lab without root: {error}; {advice()}")


def advice() -> str:
    """Return the settings that forbid user namespaces, each with the right value; else what else may forbid them."""
    present, wrong = [], []
    for name, forbids, right in SETTINGS:
        try:
            value = Path("/proc/sys", *name.split(".")).read_text().strip()
        except OSError:
            continue
        present.append(f"{name} is {value}")
        if value == forbids:
            wrong.append(f"{name} is {value} (must be {right})")
    if wrong:
        return "the machine's settings: " + "; ".join(wrong)
    others = "a chroot does, and a container's seccomp profile may"
    return f"none of the machine's settings forbids it ({', '.join(present)}); {others}"
