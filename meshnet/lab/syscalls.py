"""The system calls of namespaces and mounts that Python 3.11 does not have."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshnet.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWNS = 0x20000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18

MNT_DETACH = 2

_FALLOC_KEEP_SIZE_PUNCH_HOLE = 1 | 2
_CAP_SYS_ADMIN = 21

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)
_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_libc.syscall.restype = ctypes.c_long

_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41}


def _call(what: str, function: Callable[..., Any], *args: object) -> None:
    if function(*args) != 0:
        raise KernelError(ctypes.get_errno(), what)


def fork() -> int:
    """Fork: 0 in the child, else its pid. Raises KernelError, as where a limit of processes is reached."""
    try:
        return os.fork()
    except OSError as error:
        raise KernelError(error.errno or 0, "start a process") from error


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces (a new PID namespace: its next child). Raises KernelError."""
    _call(f"make new namespaces ({flags:#x})", _libc.unshare, flags)


def setns(fd: int, kind: int) -> None:
    """Move the calling thread into the namespace of `fd`, which must be of `kind`. Raises KernelError."""
    _call(f"enter a namespace ({kind:#x})", _libc.setns, fd, kind)


def mount(source: str | None, target: str | Path, kind: str | None, flags: int = 0, data: str | None = None) -> None:
    """Mount a file system, or change a mount. Raises KernelError."""
    _call(
        f"mount {kind or source or 'flags'} at {target}",
        _libc.mount,
        os.fsencode(source) if source is not None else None,
        os.fsencode(target),
        kind.encode() if kind is not None else None,
        flags,
        data.encode() if data is not None else None,
    )


def bind(source: str | Path, target: str | Path, *, read_only: bool = False) -> None:
    """Show the file or directory `source`, with all that is mounted below it, at `target`. Raises KernelError."""
    mount(str(source), target, None, MS_BIND | MS_REC)
    if read_only:
        # the flags of a bind mount are taken only by a remount of it
        mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)


def unmount(target: str | Path) -> None:
    """Take a mount away now, and free it when its last user is gone. Raises KernelError."""
    _call(f"unmount {target}", _libc.umount2, os.fsencode(target), MNT_DETACH)


def pivot_root(new_root: str | Path) -> None:
    """Make `new_root`, a mount point, the root of this mount namespace; the old one goes. Raises KernelError."""
    number = _SYS_PIVOT_ROOT.get(os.uname().machine, 155)
    os.chdir(new_root)
    # "." twice: the old root is stacked on the new one, from where it can be taken away (pivot_root(2))
    _call(f"make {new_root} the root", _libc.syscall, number, b".", b".")
    unmount(".")
    os.chdir("/")


def forget_beginning(fd: int, length: int) -> None:
    """Free the first `length` bytes of a file; its size and offsets stay. Raises KernelError."""
    _call("punch a hole", _libc.fallocate, fd, _FALLOC_KEEP_SIZE_PUNCH_HOLE, 0, length)


def may_make_namespaces() -> bool:
    """Tell whether this process has CAP_SYS_ADMIN: without it, it needs a user namespace first."""
    for line in Path("/proc/self/status").read_text(errors="replace").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
    return False
