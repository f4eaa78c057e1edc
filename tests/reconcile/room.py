"""A node without a kernel, for tests of what happens when pods come and go."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

from meshnet.reconcile.align import Aligner
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.checkpoints import Checkpoints
from meshnet.reconcile.keyed import KeyedWorkers
from meshnet.reconcile.publish import Publisher
from meshnet.reconcile.sandbox import Sandbox
from meshnet.reconcile.sandboxes import Sandboxes
from meshnet.reconcile.table import Table
from meshnet.reconcile.writer import StatusWriter
from tests.reconcile.fakes import Moody
from tests.reconcile.made import NotingStore, link, topology
from tests.reconcile.made import sandbox as closed
from tests.reconcile.parts import Parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from meshnet.driver import LinkDriver
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.gate import ReadinessGate

R1 = ("default", "r1")


class Open(Sandbox):
    """A pod that can be entered without a kernel."""

    @contextlib.contextmanager
    def enter(self) -> Iterator[Any]:
        yield None


def sandbox(pod: str, container: str = "", *, epoch: int = 0) -> Sandbox:
    like = closed(pod, container, epoch=epoch)
    return Open(like.key, like.namespace, like.pod, "", like.netns, like.netns_id, epoch=epoch)


class Deleter:
    """Deletes at once."""

    def delete_soon(self, ifindexes: Sequence[int]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Room:
    """A node without a kernel, following a store."""

    def __init__(self, directory: Path, *drivers: type[LinkDriver], gate: ReadinessGate | None = None) -> None:
        self.store = NotingStore()
        self.table = Table("n1")
        self.checkpoints = Checkpoints(directory)
        self.cache = TopologyCache(self.store, self._changed, self.table.has_claimed)
        made = Parts(
            self.table,
            self.cache,
            *drivers,
            changed=lambda end: self.publisher.changed(end.sandbox),
            kick=self._kick,
        )
        writer = StatusWriter(
            self.store,
            self.cache,
            self.table,
            carrier=made.carrier,
            identifiers=made.identifiers,
            node="n1",
            node_ip="",
            gate=gate,
        )
        self.publisher = Publisher(writer, self.table)
        self.identifiers = made.identifiers
        self.settler = made.settler
        self.workers = KeyedWorkers(made.settler.settle)
        parts: dict[str, Any] = {
            "table": self.table,
            "settler": made.settler,
            "patcher": made.patcher,
            "identifiers": made.identifiers,
            "furnisher": made.furnisher,
            "workers": self.workers,
            "publisher": self.publisher,
            "checkpoints": self.checkpoints,
        }
        self.aligner = Aligner(cache=self.cache, **parts)
        self.inspector = made.inspector
        self.deleter = cast("Any", Deleter())
        self.sandboxes = Sandboxes(
            deleter=self.deleter,
            inspector=self.inspector,
            aligner=self.aligner,
            **parts,
        )

    def _kick(self, endpoint: Endpoint) -> None:
        self.workers.kick(endpoint)

    def _changed(self, pod: tuple[str, str]) -> None:
        self.sandboxes.topology_changed(pod)

    async def declare(self, *interfaces: str) -> None:
        """Let r1's Topology declare links by these interfaces, each to a pod that runs nowhere."""
        await self.store.apply(topology("r1", *(link(n, name, f"x{n}:eth1") for n, name in enumerate(interfaces))))
        await asyncio.sleep(0.1)

    async def add(self, box: Sandbox) -> None:
        await self.sandboxes.add(box, self.cache.topology(box.pod_key), cast("Any", object()))

    async def add_again(self, box: Sandbox) -> None:
        await self.sandboxes.add_again(box, self.cache.topology(box.pod_key), cast("Any", object()))

    async def come(self, pod: str) -> None:
        """Add a new sandbox of a pod in namespace default."""
        await self.add(sandbox(pod))

    def saved(self) -> list[Sandbox]:
        return self.checkpoints.load()


@contextlib.asynccontextmanager
async def room(directory: Path, *drivers: type[LinkDriver], gate: ReadinessGate | None = None) -> AsyncIterator[Room]:
    made = Room(directory, *(drivers or (Moody,)), gate=gate)
    following = asyncio.create_task(made.cache.run())
    await made.cache.synced.wait()
    yield made
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
    await made.aligner.close()
    await made.workers.close()
    made.publisher.close()
