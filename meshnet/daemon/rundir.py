"""A daemon's directories: they must be usable; what it keeps in the run directory is put back when somebody took it.

Without its socket a daemon hears no runtime, and without its checkpoints the next one deletes the ports of every pod.
"""

from __future__ import annotations

import logging
import os
import tempfile
from typing import TYPE_CHECKING

from meshnet.errors import InvalidObject, Problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)

RIGHT = "a directory that it can make files in"


def unusable(setting: str, path: Path, right: str, error: OSError) -> InvalidObject:
    """Return what says that the kernel refused the path that a setting gives, and what would be right."""
    hint = "" if os.geteuid() == 0 else "; this daemon is not run as root"
    return InvalidObject("settings", [Problem(setting, str(path), f"{right}: {error.strerror or error}{hint}")])


def make_usable(setting: str, directory: Path, mode: int) -> None:
    """Make a directory if it is not there, and try that files can be made in it. Raises InvalidObject."""
    try:
        directory.mkdir(mode=mode, parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        raise unusable(setting, directory, RIGHT, error) from error


class RunDirectory:
    """The directory of the socket, of the checkpoints and of the file that tells how long ago the daemon was alive.

    Args:
        put_back: see to it that what a daemon keeps in the directory is there, first of all its lock. May raise
            OSError, which is logged, and InvalidObject when another daemon has the directory by now.
    """

    def __init__(self, directory: Path, put_back: Callable[[], None]) -> None:
        self._directory = directory
        self._put_back = put_back

    def touch(self) -> None:
        """Tell that the daemon is alive, with everything in its place. What cannot be done is logged.

        Raises InvalidObject when another daemon has the directory.
        """
        try:
            self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            (self._directory / "alive").touch(mode=0o644)  # whatever the umask: nobody else tells that
            self._put_back()
        except OSError as error:
            log.error("run directory: %s", error)
