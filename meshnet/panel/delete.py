"""Deleting ports: many at once, in a thread of its own.

Deletions are collected while one is under way, and every round is one group (`meshnet.netlink.groups`).

What is deleted is known by its index, which is no other link's as long as the node is up, and by a port's name. Its
mark is not asked for: somebody may have replaced that.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from meshnet.netlink import links
from meshnet.netlink.groups import delete_together
from meshnet.panel.read import looks_like_a_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Deleter:
    """Deletes ports by interface index. One that is gone already is success."""

    def __init__(self) -> None:
        self._waiting: list[tuple[list[int], asyncio.Future[None]]] = []
        self._round: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="deleter")

    async def delete(self, ifindexes: Iterable[int]) -> None:
        """Return when the ports are gone. Raises KernelError."""
        wanted = list(ifindexes)
        if wanted:
            await self.delete_soon(wanted)

    def delete_soon(self, ifindexes: Sequence[int]) -> asyncio.Future[None]:
        """Begin to delete; the future tells when the ports are gone."""
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
                await loop.run_in_executor(self._thread, delete_ports, wanted)
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


def delete_ports(ifindexes: Sequence[int]) -> None:
    """Delete ports. Blocks for the kernel. Raises KernelError."""
    wanted = frozenset(ifindexes)

    def ours(payload: bytes) -> bool:
        info = links.parse_link(payload)
        return info.ifindex in wanted and looks_like_a_port(info)

    delete_together(wanted, ours)
