"""Deleting ports: many at once, in a thread of its own.

The kernel holds its lock while a device goes, some 20 ms whether it is one or a thousand of one group; so deletions
are collected while one is under way, and every round is one group.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from meshnet.model import names
from meshnet.netlink import Netlink, links
from meshnet.panel.read import is_newborn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshnet.netlink import LinkInfo


class Deleter:
    """Deletes devices of ours by interface index. One that is gone already is success."""

    def __init__(self) -> None:
        self._waiting: list[tuple[list[int], asyncio.Future[None]]] = []
        self._round: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="deleter")

    async def delete(self, ifindexes: Iterable[int]) -> None:
        """Return when the devices are gone. Raises KernelError."""
        wanted = list(ifindexes)
        if wanted:
            await self.delete_soon(wanted)

    def delete_soon(self, ifindexes: Sequence[int]) -> asyncio.Future[None]:
        """Begin to delete; the future tells when the devices are gone."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        done.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._waiting.append((list(ifindexes), done))
        if self._round is None:
            self._round = loop.create_task(self._rounds(), name="deleter")
        return done

    async def close(self) -> None:
        """Finish what was asked for."""
        if self._round is not None:
            await asyncio.wait([self._round])
        self._thread.shutdown()

    async def _rounds(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            wanted = [ifindex for ifindexes, _ in batch for ifindex in ifindexes]
            error: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, delete_together, wanted)
            except Exception as raised:  # noqa: BLE001 - who waits must hear of it, and the next round must come
                error = raised
            for _, done in batch:
                if done.done():
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
        self._round = None


def delete_together(ifindexes: Sequence[int]) -> None:
    """Delete devices of ours by one group made for it. Blocks for the kernel. Raises KernelError."""
    group = secrets.randbits(30) | 1 << 30
    with Netlink.open() as netlink:
        # Some may find their device gone.
        netlink.run_tolerating([links.set_link(ifindex, group=group) for ifindex in ifindexes], errno.ENODEV)
        strangers = [info.ifindex for info in _members(netlink, group) if not _ours(info)]
        # A group is everybody's: who is not ours leaves it before it goes.
        netlink.run_tolerating([links.set_link(ifindex, group=0) for ifindex in strangers], errno.ENODEV)
        netlink.run_tolerating([links.delete_group(group)], errno.ENODEV)


def _members(netlink: Netlink, group: int) -> list[LinkInfo]:
    # Others may make links all the time; who is in this group does not change.
    payloads = netlink.dump(links.dump_links(), steady=False)
    return [info for info in map(links.parse_link, payloads) if info.group == group]


def _ours(info: LinkInfo) -> bool:
    return names.parse_mark(info.alias) is not None or is_newborn(info)
