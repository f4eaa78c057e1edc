"""Keeping meshnet installed: at the start, and whenever the runtime's directories change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from meshnet.backoff import doubling
from meshnet.cni.install.inotify import DirectoryWatch
from meshnet.cni.install.node import install
from meshnet.cni.install.pace import Pace
from meshnet.cni.install.plan import Plan
from meshnet.errors import KernelError, MeshnetError

if TYPE_CHECKING:
    from meshnet.cni.install.names import Places
    from meshnet.cni.install.node import Done

log = logging.getLogger(__name__)

SETTLE_S = 0.05
"""Several changes at once are looked at together."""
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0


class Follower:
    """Installs on one node and follows what changes there. Whatever fails is told, and tried again.

    Args:
        places: the runtime's directories.
        pass_s: how often to look without having heard of a change: a link's target changes unheard.
    """

    def __init__(self, places: Places, pass_s: float) -> None:
        self._places = places
        self._pass_s = pass_s
        self._paces = {path: Pace() for path in (places.plugin, places.list)}
        self._delays = doubling(FIRST_RETRY_S, LAST_RETRY_S)
        self._heard = asyncio.Event()
        self._watch: DirectoryWatch | None = None
        self._problem = "not tried yet"
        self._plan = Plan()

    def told(self) -> dict[str, Any]:
        """What was done last: `problem` is ``""`` when all is well."""
        return {
            "bin_dir": str(self._places.bin_dir),
            "conf_dir": str(self._places.conf_dir),
            "source": self._plan.source,
            "problem": self._problem,
            "remarks": list(self._plan.remarks),
        }

    async def run(self) -> None:
        """Install, and go on for ever."""
        try:
            while True:
                self._heard.clear()
                wait_s = await self._pass()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._heard.wait()
                now = time.monotonic()
                await asyncio.sleep(max(SETTLE_S, *(pace.wait_s(now) for pace in self._paces.values())))
        finally:
            if self._watch:
                asyncio.get_running_loop().remove_reader(self._watch.fileno())
                self._watch.close()

    async def _pass(self) -> float:
        """Do what is to be done now; how long to wait for the next time, in seconds."""
        deaf = self._listen()  # before looking, so that no change falls in between
        try:
            problem = self._note(await asyncio.to_thread(install, self._places))
        except (MeshnetError, OSError) as error:
            self._say(str(error))
            self._drain()  # what it has half written and removed is a change, too, and would end the wait
            self._heard.clear()
        else:
            self._say(problem or (deaf and f"changes are seen late: {deaf}"))
            if not deaf:
                self._delays = doubling(FIRST_RETRY_S, LAST_RETRY_S)
                return self._pass_s
        return next(self._delays)

    def _listen(self) -> str:
        """Watch the directories, also those made anew; why that is not possible, or ``""``."""
        try:
            if self._watch is None:
                self._watch = DirectoryWatch()
                asyncio.get_running_loop().add_reader(self._watch.fileno(), self._hear)
            for directory in (self._places.bin_dir, self._places.conf_dir):
                self._watch.add(directory)
        except KernelError as error:
            return str(error)
        return ""

    def _hear(self) -> None:
        self._drain()
        self._heard.set()

    def _drain(self) -> None:
        if self._watch:
            self._watch.drain()

    def _note(self, done: Done) -> str:
        """Tell of what was done; return why that is not all, or ``""``."""
        now = time.monotonic()
        for line in done.changed:
            log.info("%s", line)
        for path in done.wrote:
            self._paces[path].wrote(now)
        for remark in done.plan.remarks:
            if remark not in self._plan.remarks:
                log.warning("%s", remark)
        self._plan = done.plan
        return done.plan.problem or self._contested(now)

    def _contested(self, now: float) -> str:
        for path, pace in self._paces.items():
            if pace.contested(now):
                told = f"{path} was written {pace.recent(now)} times in two minutes, and undone each time"
                moved = path.with_name(f"{path.name}.cilium_bak")
                return f"{told}: Cilium moves it away; set cni.exclusive=false in Cilium" if moved.exists() else told
        return ""

    def _say(self, problem: str) -> None:
        if problem and problem != self._problem:
            log.warning("pods of this node are not wired as they should be: %s", problem)
        self._problem = problem
