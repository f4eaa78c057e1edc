"""What stands outside a lab: one small file that tells its name and its first process."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

import attrs

from meshnet.errors import MeshnetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_UNFINISHED = re.compile(r"\.([0-9]+)-([0-9]+)-.*")
"""What is a record while it is written: pid and start time of who writes it."""
MAKE_TRIES = 8
_ROOT_DIRECTORY = Path("/run/meshnet")
_TEMPORARY = Path("/tmp")  # noqa: S108 - what is in it is checked to be this user's


@attrs.frozen
class LabRecord:
    """A lab and its first process, as seen from outside.

    Attributes:
        name: what the user calls it.
        pid: of the supervisor, in the caller's PID namespace.
        started: start time of that process in clock ticks since boot: pid and start time are never used twice.
        user: uid of who made it.
        path: the file that tells this.
    """

    name: str
    pid: int
    started: int
    user: int
    path: Path

    @property
    def alive(self) -> bool:
        """Whether that very process still runs; a zombie does not."""
        return start_time(self.pid) == self.started


def check_name(name: str) -> str:
    """Return `name`. Raises UsageError when it cannot be a lab's name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"lab name {name!r}: up to 63 letters, digits, '-', '.', '_'; first and last not a mark")
    return name


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot, the machine's own; None when it has ended.

    Raises OSError where that cannot be known, as without a free descriptor.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the name in parentheses may contain anything, also spaces and parentheses
    fields = text[text.rindex(b")") + 2 :].split()
    return None if fields[0] in b"ZXx" else int(fields[19]) - _ticks_ahead()


def _ticks_ahead() -> int:
    """Return how many clock ticks longer ago this time namespace says that the machine was booted."""
    try:
        lines = Path("/proc/self/timens_offsets").read_text().splitlines()
    except FileNotFoundError:  # a kernel without time namespaces
        return 0
    offsets = {clock: (int(seconds), int(nanoseconds)) for clock, seconds, nanoseconds in map(str.split, lines)}
    seconds, nanoseconds = offsets["boottime"]
    ticks = os.sysconf("SC_CLK_TCK")
    return seconds * ticks + nanoseconds * ticks // 1_000_000_000


def _takes_files(directory: str) -> bool:
    return os.access(directory, os.W_OK | os.X_OK)


class LabRecords:
    """The records of this user's labs in one directory, which exists only while there is one."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @classmethod
    def of_this_user(cls, environ: Mapping[str, str] = os.environ) -> LabRecords:
        """Root's are under ``/run/meshnet``, a user's under ``$XDG_RUNTIME_DIR``, else in the temporary directory.

        Who only looks for labs needs no directory that takes files.
        """
        if os.geteuid() == 0:
            return cls(_ROOT_DIRECTORY / "labs")
        runtime, temporary = (environ.get(name, "") for name in ("XDG_RUNTIME_DIR", "TMPDIR"))
        if _takes_files(runtime):
            return cls(Path(runtime) / "meshnet" / "labs")
        base = Path(temporary).absolute() if _takes_files(temporary) else _TEMPORARY
        return cls(base / f"meshnet-{os.geteuid()}" / "labs")

    def create(self, name: str, pid: int) -> LabRecord:
        """Write the record of a new lab, in one step. Raises UsageError when that lab runs already."""
        path = self.directory / f"{check_name(name)}.json"
        try:
            record = LabRecord(name, pid, start_time(pid) or 0, os.geteuid(), path)
            with self._temporary_file() as file:
                json.dump({"name": name, "pid": pid, "started": record.started, "user": record.user}, file)
                file.flush()
                self.refuse_running(name)
                os.link(file.name, path)
        except FileExistsError:
            raise UsageError(f"lab {name!r}: somebody is starting it at this moment") from None
        except OSError as error:
            raise MeshnetError(f"lab {name!r}: no record of it in {self.directory}: {error.strerror}") from error
        return record

    def refuse_running(self, name: str) -> None:
        """Raise UsageError when a lab of that name runs."""
        for record in self.running():
            if record.name == name:
                raise UsageError(f"lab {name!r}: it runs already (pid {record.pid}; meshnet lab down {name} ends it)")

    def running(self) -> list[LabRecord]:
        """Return the labs that run, by name; records of those that do not are removed.

        Raises MeshnetError when one cannot be read just now, as without a free descriptor: it may be of one that runs.
        """
        try:
            self._refuse_foreign()
            paths = sorted(self.directory.glob("*.json"))
        except PermissionError:  # who may not look there has none there
            return []
        records = []
        for path in paths:
            try:
                record = self._read(path)
                alive = record is not None and record.alive
            except OSError as error:
                raise MeshnetError(f"lab {path.stem!r}: {path}: {error.strerror}") from error
            if record is not None and alive:
                records.append(record)
            else:
                self._remove(path)
        self._remove_unfinished()
        return records

    def find(self, name: str | None) -> LabRecord:
        """Return the lab `name`, or the one that runs. Raises UsageError when there is none, or no telling which."""
        running = self.running()
        wanted = name and check_name(name)
        found = [record for record in running if wanted in {None, record.name}]
        if len(found) == 1:
            return found[0]
        names = ", ".join(record.name for record in running) or "none"
        if name is not None:
            raise UsageError(f"lab {name!r}: it does not run (running: {names})")
        if not running:
            raise UsageError("no lab runs (meshnet lab up FILE starts one)")
        raise UsageError(f"several labs run: say which by --lab (running: {names})")

    def forget(self, record: LabRecord) -> None:
        """Remove a record, and the directories if it was the last."""
        try:
            current = self._read(record.path)
        except OSError:  # whoever looks for labs next finds that it has ended
            return
        if current is None or current == record:
            self._remove(record.path)

    def _temporary_file(self) -> IO[str]:
        prefix = f".{os.getpid()}-{start_time(os.getpid())}-"
        for _ in range(MAKE_TRIES):
            with contextlib.suppress(FileNotFoundError):  # the last lab that ended took the directory with it
                self._make_directory()
                return tempfile.NamedTemporaryFile("w", dir=self.directory, prefix=prefix, delete=True)
        raise MeshnetError(f"{self.directory}: is taken away as often as it is made")

    def _remove_unfinished(self) -> None:
        """Remove what was written by processes that were killed meanwhile."""
        with contextlib.suppress(OSError):  # whoever looks for labs next does it
            for path in self.directory.glob(".*"):
                writer = _UNFINISHED.fullmatch(path.name)
                if writer and start_time(int(writer[1])) != int(writer[2]):
                    self._remove(path)

    def _make_directory(self) -> None:
        with contextlib.suppress(FileExistsError):
            # Root's is the daemon's as well: nobody else puts a socket there, whatever the umask.
            self.directory.parent.mkdir(parents=True, mode=0o755)
        self.directory.mkdir(exist_ok=True, mode=0o700)
        self._refuse_foreign()
        if self.directory.parent != _ROOT_DIRECTORY:
            self.directory.parent.chmod(0o700)

    def _refuse_foreign(self) -> None:
        """Raise UsageError when the directory is another user's: what it tells would be theirs to choose.

        Anybody may have made the name in a shared temporary directory.
        """
        for directory in (self.directory.parent, self.directory):
            try:
                found = directory.lstat()
            except FileNotFoundError:
                return
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                hint = "" if os.geteuid() == 0 else "; XDG_RUNTIME_DIR or TMPDIR says where else it is to be"
                raise UsageError(f"{directory}: it must be a directory of uid {os.geteuid()}{hint}")

    def _read(self, path: Path) -> LabRecord | None:
        """Return what a record says; None for what is none. Raises OSError."""
        try:
            facts = json.loads(path.read_text())
            return LabRecord(str(facts["name"]), int(facts["pid"]), int(facts["started"]), int(facts["user"]), path)
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            return None
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()
            self.directory.rmdir()
            self.directory.parent.rmdir()


def find_lab(name: str | None) -> LabRecord:
    """Return this user's lab `name`, or the one that runs. Raises UsageError when none or several do."""
    return LabRecords.of_this_user().find(name)
