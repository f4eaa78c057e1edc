"""A process whose name is no text: the kernel takes any bytes for one."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPT = r"trap : TERM; printf '\377' >/proc/self/comm; echo; read x"


@contextlib.contextmanager
def any_name() -> Iterator[subprocess.Popen[bytes]]:
    """Have one that catches SIGTERM, for the time of the block."""
    with subprocess.Popen(["sh", "-c", _SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()
