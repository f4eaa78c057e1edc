"""The run directory: what a daemon keeps there is put back when somebody took it away.

Without its socket a daemon hears no runtime, and without its checkpoints the next one deletes the ports of every pod.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger(__name__)


class RunDirectory:
    """The directory of the socket, of the checkpoints and of the file that tells how long ago the daemon was alive.

    Args:
        put_back: see to it that the socket and the checkpoints are there. May raise OSError.
    """

    def __init__(self, directory: Path, put_back: Callable[[], None]) -> None:
        self._directory = directory
        self._put_back = put_back

    def touch(self) -> None:
        """Tell that the daemon is alive, with everything in its place. What cannot be done is logged."""
        try:
            self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            (self._directory / "alive").touch()
            self._put_back()
        except OSError as error:
            log.error("run directory: %s", error)
