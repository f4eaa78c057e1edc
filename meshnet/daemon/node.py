"""The node: everything that a daemon is composed of, and its start and end."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING

from meshnet.cni.install.follow import Follower
from meshnet.daemon.between import Between
from meshnet.daemon.cni_calls import CniCalls
from meshnet.daemon.core import Core
from meshnet.daemon.kernel import Kernel
from meshnet.daemon.late_drivers import start_late
from meshnet.daemon.queries import Queries
from meshnet.daemon.record import OwnRecord
from meshnet.daemon.schema import tell_of_old_schemas
from meshnet.daemon.server import LocalServer
from meshnet.daemon.underlay_watch import UnderlayWatch
from meshnet.driver.api import DriverContext
from meshnet.errors import KernelError
from meshnet.reconcile.adopt import adopt, rejoin
from meshnet.stores.cluster import ClusterStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from meshnet.daemon.connection import Call
    from meshnet.daemon.settings import Settings
    from meshnet.driver.api import Pod
    from meshnet.driver.registry import Registry
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.adopt import Adopted
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

STOP_LIMIT_S = 3.0
SORT_S = 2.0
"""How long callers wait for what drivers have left; sorting it out goes on beside them."""
SETTLE_LIMIT_S = 5.0
"""How long peers wait to hear of a daemon that has started, for the sake of ends that are not settled yet."""


class Node:
    """A node's daemon. Must be made in a running event loop, in the node's network namespace.

    Args:
        settings: of the daemon.
        store: with the Topologies and the nodes.
        registry: the drivers.
        still_alone: raises InvalidObject when another daemon has the run directory, which was made anew, OSError.

    Raises KernelError when the kernel refuses what it cannot do without, OSError when its directories cannot be used,
    InvalidObject when a setting does not fit the node.
    """

    def __init__(self, settings: Settings, store: Store, registry: Registry, still_alone: Callable[[], None]) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._still_alone = still_alone
        self._tasks: list[asyncio.Task[None]] = []
        self._endless: list[asyncio.Task[None]] = []
        self._kernel = Kernel(settings)
        self._core = Core(
            settings,
            store,
            registry,
            self._kernel,
            put_back=self._put_back,
            node_changed=self._node_changed,
        )
        self._between = Between(settings, self._core, self._certified)
        self._record = OwnRecord(
            settings,
            store,
            registry,
            self._core.place,
            self._between.certificates,
            known=self._core.nodes.synced,
        )
        self._installed = Follower(settings.cni, settings.pass_s) if settings.cni else None
        self._cni = CniCalls(self._core.sandboxes, self._core.cache)
        self._queries = Queries(
            settings.node,
            table=self._core.table,
            inspector=self._core.inspector,
            registry=registry,
            cache=self._core.cache,
            carrier=self._core.carrier,
            peers=self._between.told,
            installed=self._installed.told if self._installed else None,
        )
        self._server = LocalServer(settings.socket, self._answer)

    async def start(self) -> None:
        """Adopt what is there and begin to serve. Raises KernelError, OSError."""
        core, kernel = self._core, self._kernel
        adopted = self._adopt()
        asyncio.get_running_loop().add_reader(kernel.monitor.fileno(), core.ear.listen)
        await self._registry.start_all(self._context)
        await self._sort_out()
        if adopted.orphans:
            # Before anybody calls: a repeated ADD makes ports of the same names.
            log.info("%d ports that were not finished are deleted", len(adopted.orphans))
            await kernel.deleter.delete(adopted.orphans)
        self._server.start()
        watch = UnderlayWatch(functools.partial(kernel.find_underlay, kernel.underlay.address), kernel.underlay)
        self._endless = [
            self._begin("nodes", core.nodes.run()),
            self._begin("Topologies", core.follow_store()),
            self._begin("heartbeat", core.passes.beat()),
            self._begin("passes", core.passes.run()),
            self._begin("record", self._record.run()),
            self._begin("underlay", watch.run(self._settings.pass_s)),
        ]
        settling = self._settle_adopted(adopted)
        self._begin("adoption", self._guarded(settling, "what was adopted is not settled: peers do not hear of it"))
        late = start_late(self._registry, self._context, self._drivers_changed, every_s=self._settings.pass_s)
        self._begin("drivers", self._guarded(late, "drivers that could not start are not tried again"))
        self._begin("peers", self._guarded(self._between.run(), "this node is not in touch with the others"))
        if self._installed:
            self._begin("installation", self._guarded(self._installed.run(), "the CNI plugin is not kept installed"))
        if isinstance(self._store, ClusterStore):
            schema = tell_of_old_schemas(self._store)
            self._begin("schema", self._guarded(schema, "the age of the cluster's schemas is not known"))
        log.info(
            "node %s: %d sandboxes and %d ends adopted, %d drivers usable",
            self._settings.node,
            len(core.table.sandboxes),
            len(core.table.ends()),
            len(self._registry.usable()),
        )

    async def _sort_out(self) -> None:
        """Have drivers' leftovers sorted out before anybody calls; one that hangs keeps nobody waiting for long."""
        guarded = self._guarded(self._core.leftovers.sort_out(early=True), "what drivers have left is not sorted out")
        await asyncio.wait({self._begin("leftovers", guarded)}, timeout=SORT_S)

    async def failed(self) -> None:
        """Return never, or raise what ended one of the daemon's endless tasks."""
        done, _ = await asyncio.wait(self._endless, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Stop serving; the kernel goes on forwarding as it is."""
        core, kernel = self._core, self._kernel
        # First, so that peers do not hear of an end that is only ours.
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._between.stop()
        except TimeoutError:
            log.warning("sessions with other nodes have not ended within %g s", STOP_LIMIT_S)
        await self._server.stop(grace_s=STOP_LIMIT_S)
        asyncio.get_running_loop().remove_reader(kernel.monitor.fileno())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await core.passes.close()
        await core.aligner.close()
        await core.workers.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_LIMIT_S):
                await core.publisher.flush()
        core.publisher.close()
        core.checkpoints.write_owed()
        await self._registry.stop_all(limit_s=STOP_LIMIT_S)
        await kernel.deleter.close()
        await self._store.close()
        core.identifiers.close()
        kernel.close()

    def _adopt(self) -> Adopted:
        core = self._core
        ports, newborn = self._kernel.read_ports()
        adopted = adopt(core.table, core.checkpoints.load(), ports, core.inspector.ended)
        rejoin(core.table, self._kernel.splicer)
        for end in core.table.ends():
            # What went down meanwhile is lost at once; what shall have carrier the store tells, if it is there.
            core.carrier.update(end)
        return adopted._replace(orphans=[*adopted.orphans, *newborn])

    async def _settle_adopted(self, adopted: Adopted) -> None:
        core = self._core
        for sandbox in adopted.vanished:
            core.passes.vanished(sandbox)
        await self._synced()
        core.identifiers.keep_only(end.endpoint for end in core.table.ends())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_LIMIT_S):
                await core.sandboxes.settle_all()
        self._between.settled()
        core.passes.full_pass_soon()

    async def _synced(self) -> None:
        """Return when the store was read; adopted carrier that needs this daemon lapses as it does at the peers."""
        core = self._core
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.peer_grace_s):
                await core.cache.synced.wait()
        if not core.cache.synced.is_set():
            log.warning("the store cannot be read: links that this daemon forwards for lose their carrier until then")
            try:
                core.carrier.lapse()
            except KernelError as error:
                log.warning("%s", error)
        await core.cache.synced.wait()

    async def _guarded(self, work: Coroutine[None, None, None], lost: str) -> None:
        """Do what the links of this node can do without: its failure is told and ends nothing else."""
        try:
            await work
        except Exception:
            log.exception("%s", lost)

    def _node_changed(self, node: str) -> None:
        if node == self._settings.node:
            self._record.seen(self._core.nodes.record(node))
        self._between.node_changed(node)

    def _certified(self) -> None:
        self._record.out_of_date()

    def _drivers_changed(self) -> None:
        self._record.out_of_date()
        self._core.passes.full_pass_soon()

    def _begin(self, name: str, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.append(task)
        return task

    def _put_back(self) -> None:
        self._still_alone()  # before anything of another's is written over
        self._server.renew()
        self._core.checkpoints.catch_up(list(self._core.table.sandboxes.values()))
        self._core.last_valid.catch_up()
        self._kernel.put_back()

    async def _answer(self, call: Call) -> bytes:
        env = call.frame.env
        if "MESHNET_QUERY" in env:
            return await self._queries.answer(env["MESHNET_QUERY"])
        return await self._cni.answer(call)

    def _context(self, name: str) -> DriverContext:
        return DriverContext(
            node=self._settings.node,
            netlink=self._kernel.netlink,
            log=logging.getLogger(f"meshnet.driver.{name}"),
            allocate=self._core.identifiers.allocate,
            changed=functools.partial(self._core.path_changed, name),
            pod=self._pod,
            underlay=self._kernel.underlay,
            settings=self._settings.of_driver(name),
            stream=self._between.opener(name),
        )

    def _pod(self, endpoint: Endpoint) -> Pod | None:
        return self._core.table.current(endpoint.pod_key)
