"""What is known of a cluster by every process: a directory with its name, and in it who is its first process."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.machine import cgroups
from tests.cluster.machine.boot import end_stranger
from tests.cluster.machine.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = Path("/var/lib/meshnet-clusters")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_FILE = "cluster.json"


@dataclass(frozen=True)
class Record:
    """A cluster, as it was when it began.

    Attributes:
        pid: of its first process, with which all of it ends.
        started: when that started, as the kernel counts it: another process of this id has another time.
        port: of this machine's loopback, at which its API server is reached.
        nodes: how many it has.
        groups: its control groups.
    """

    pid: int
    started: str
    port: int
    nodes: int
    groups: list[str]

    def is_alive(self) -> bool:
        return started(self.pid) == self.started


def directory_of(name: str) -> Path:
    """Return the directory of a cluster.

    Raises:
        ClusterError: it cannot be one's name.
    """
    if not _NAME.fullmatch(name):
        raise ClusterError(f"cluster {name!r}: a name is of 1 to 20 letters a-z, digits and inner dashes")
    return BASE / name


def started(pid: int) -> str:
    """Return when a process started, or "" when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def write(name: str, record: Record) -> None:
    (directory_of(name) / _FILE).write_text(json.dumps(asdict(record)))


def read(name: str) -> Record | None:
    """Return what is known of a cluster; None when there is none, or nothing is known."""
    try:
        return Record(**json.loads((directory_of(name) / _FILE).read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextmanager
def alone() -> Iterator[None]:
    """Begin or end clusters one at a time, whatever process does it; without any left, `BASE` is gone after it."""
    lock = _lock()
    try:
        yield
    finally:
        with suppress(OSError):
            BASE.rmdir()
        os.close(lock)


def _lock() -> int:
    """Lock the directory; one that went away while this process waited is not it any more."""
    while True:
        BASE.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(BASE, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), BASE.stat()):
                return lock
        os.close(lock)


def sweep() -> None:
    """Take away what is left of clusters whose first process has ended. To be called when `alone`."""
    for directory in BASE.iterdir():
        record = read(directory.name)
        if record is None or not record.is_alive():
            remove(directory.name)


def remove(name: str) -> None:
    """End a cluster and take away all of it. To be called when `alone`."""
    record = read(name)
    if record is not None:
        if record.is_alive():
            end_stranger(record.pid)
        cgroups.remove([Path(group) for group in record.groups])
    directory = directory_of(name)
    if directory.exists():
        shutil.rmtree(directory)
