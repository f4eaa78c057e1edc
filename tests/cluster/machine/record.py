"""What is known of a cluster by every process: a directory with its name, and what runs in it."""

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

from tests.cluster.machine import cgroups, running
from tests.cluster.machine.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = Path("/var/lib/meshnet-clusters")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_FILE = "cluster.json"
FABRIC = "fabric"
"""The machine whose first process all others are below."""


@dataclass(frozen=True)
class Record:
    """A cluster, as it was when it began.

    Attributes:
        port: of this machine's loopback, at which its API server is reached.
        nodes: how many it has.
        groups: its control groups.
    """

    port: int
    nodes: int
    groups: list[str]


def directory_of(name: str) -> Path:
    """Return the directory of a cluster.

    Raises:
        ClusterError: it cannot be one's name.
    """
    if not _NAME.fullmatch(name):
        raise ClusterError(f"cluster {name!r}: a name is of 1 to 20 letters a-z, digits and inner dashes")
    return BASE / name


def first_process(name: str) -> int:
    """Return the process with which all of a cluster ends, or 0 when it is not up."""
    found = running.read(directory_of(name) / FABRIC)
    return found.first.pid if found else 0


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
        if not first_process(directory.name):
            remove(directory.name)


def remove(name: str) -> None:
    """End a cluster and take away all of it. To be called when `alone`."""
    directory = directory_of(name)
    machines = [path for path in directory.glob("*") if path.is_dir() and path.name != FABRIC]
    # all end with the first process, which ends only when all have
    running.end([*machines, directory / FABRIC])
    record = read(name)
    if record is not None:
        cgroups.remove([Path(group) for group in record.groups])
    if directory.exists():
        shutil.rmtree(directory)
