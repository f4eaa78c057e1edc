"""What boots the machine: in a lab, which has the machine's files, it is out of reach."""

from __future__ import annotations

import os
from pathlib import Path

from meshnet.lab import syscalls

_PLACES = ("/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd")
_NAMES = ("init", "systemd")
"""Of these programs themselves: where one of another name is all of them, as busybox, it is needed for the others."""


def cover_init() -> None:
    """Put what nobody can execute over the machine's init, in the mounts of the calling process. Raises KernelError.

    As the first process of a pod it would start the machine's services, and clear its /tmp, a second time.
    """
    for program in {Path(place).resolve() for place in _PLACES}:
        if program.name in _NAMES and program.is_file():
            syscalls.bind(os.devnull, program)
