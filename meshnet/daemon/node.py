"""The node: everything that a daemon is composed of, and its start and end. The only place that builds parts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from meshnet.cni.error import CniError, Code, error_json
from meshnet.cni.frame import encode_reply
from meshnet.daemon.cni_calls import CniCalls
from meshnet.daemon.queries import Queries
from meshnet.daemon.record import NodeRecord
from meshnet.daemon.rundir import RunDirectory
from meshnet.daemon.server import LocalServer
from meshnet.daemon.underlay import find_underlay
from meshnet.dispatch.resolve import Place
from meshnet.driver.api import DriverContext
from meshnet.driver.catalog import NodeCatalog
from meshnet.netlink import Netlink, bpf
from meshnet.netlink.ethtool import Ethtool
from meshnet.netlink.events import LinkMonitor
from meshnet.netlink.netns import number_own
from meshnet.panel.delete import Deleter
from meshnet.panel.indices import Indices
from meshnet.panel.make import PortMaker
from meshnet.panel.read import read_newborn, read_ports
from meshnet.panel.splice import Splicer
from meshnet.reconcile.adopt import adopt, rejoin
from meshnet.reconcile.align import Aligner
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.carrier import CarrierKeeper
from meshnet.reconcile.checkpoints import Checkpoints
from meshnet.reconcile.furnish import Furnisher
from meshnet.reconcile.hear import Ear
from meshnet.reconcile.identifiers import Identifiers
from meshnet.reconcile.inspect import Inspector
from meshnet.reconcile.keyed import KeyedWorkers
from meshnet.reconcile.leftovers import Leftovers
from meshnet.reconcile.passes import Passes
from meshnet.reconcile.publish import Publisher
from meshnet.reconcile.sandboxes import Sandboxes
from meshnet.reconcile.settle import Settler
from meshnet.reconcile.table import Table

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from meshnet.daemon.connection import Call
    from meshnet.daemon.settings import Settings
    from meshnet.driver.api import Pod
    from meshnet.driver.registry import Registry
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.adopt import Adopted
    from meshnet.reconcile.state import Sandbox
    from meshnet.stores.base import Store

log = logging.getLogger(__name__)

STOP_LIMIT_S = 3.0
ENDLESS = ("Topologies", "heartbeat", "passes")
"""Tasks whose end is the daemon's."""


class Node:
    """A node's daemon. Must be made in a running event loop, in the node's network namespace.

    Raises KernelError when the kernel refuses what it cannot do without, OSError when its directories cannot be used.
    """

    def __init__(self, settings: Settings, store: Store, registry: Registry) -> None:
        settings.run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._settings = settings
        self._store = store
        self._registry = registry
        self._tasks: list[asyncio.Task[None]] = []
        self._build_panel(settings)
        self._build_reconcile(settings, store)
        self._build_local(settings)

    def _build_panel(self, settings: Settings) -> None:
        # First of all: what happens while the kernel is read must be heard.
        self._monitor = LinkMonitor()
        self._netlink = Netlink.open()
        number_own(self._netlink)
        self._underlay = find_underlay(
            self._netlink,
            address=settings.node_ip,
            interface=settings.underlay_interface,
            mtu=settings.underlay_mtu,
        )
        self._ethtool = Ethtool()
        self._indices = Indices(settings.run_dir / "ifindex")
        self._identifiers = Identifiers(settings.state_dir / "identifiers.json")
        why_no_bpf = bpf.why_unusable()
        if why_no_bpf:
            log.info("links with offload use mirred here: %s", why_no_bpf)
        self._splicer = Splicer(self._netlink, self._ethtool, redirect_peer=why_no_bpf is None)
        self._deleter = Deleter()
        self._maker = PortMaker(self._netlink, self._ethtool, self._indices)

    def _build_reconcile(self, settings: Settings, store: Store) -> None:
        self._table = Table()
        self._checkpoints = Checkpoints(settings.run_dir / "sandboxes")
        self._inspector = Inspector(self._netlink)
        self._cache = TopologyCache(store, lambda key: self._sandboxes.topology_changed(key))  # noqa: PLW0108 - made later
        self._carrier = CarrierKeeper(self._table, self._splicer)
        self._publisher = Publisher(store, self._cache, self._table, node=settings.node, node_ip=settings.node_ip)
        catalog = NodeCatalog(self._registry)
        furnisher = Furnisher(
            netlink=self._netlink,
            maker=self._maker,
            splicer=self._splicer,
            deleter=self._deleter,
            table=self._table,
            saved=self._checkpoints.save_soon,
        )
        self._settler = Settler(
            place=Place(settings.node, catalog),
            table=self._table,
            cache=self._cache,
            splicer=self._splicer,
            carrier=self._carrier,
            furnisher=furnisher,
            changed=lambda end: self._publisher.changed(end.sandbox),
            kick=self._kick,
        )
        self._workers = KeyedWorkers(self._settler.settle)
        self._build_sandboxes(catalog, furnisher)
        self._build_watches(settings)

    def _build_sandboxes(self, catalog: NodeCatalog, furnisher: Furnisher) -> None:
        self._aligner = Aligner(
            table=self._table,
            cache=self._cache,
            settler=self._settler,
            furnisher=furnisher,
            workers=self._workers,
            publisher=self._publisher,
            checkpoints=self._checkpoints,
        )
        self._sandboxes = Sandboxes(
            table=self._table,
            settler=self._settler,
            furnisher=furnisher,
            workers=self._workers,
            publisher=self._publisher,
            checkpoints=self._checkpoints,
            deleter=self._deleter,
            catalog=catalog,
            inspector=self._inspector,
            aligner=self._aligner,
        )

    def _build_watches(self, settings: Settings) -> None:
        self._leftovers = Leftovers(self._registry, self._table, self._workers)
        self._passes = Passes(
            table=self._table,
            sandboxes=self._sandboxes,
            aligner=self._aligner,
            workers=self._workers,
            inspector=self._inspector,
            publisher=self._publisher,
            leftovers=self._leftovers,
            alive=RunDirectory(settings.run_dir, self._put_back),
            pass_s=settings.pass_s,
        )
        self._ear = Ear(
            self._monitor,
            self._netlink,
            self._table,
            self._carrier,
            ended=self._inspector.ended,
            kick=self._workers.kick,
            vanished=self._passes.vanished,
            lost=self._passes.full_pass_soon,
        )

    def _build_local(self, settings: Settings) -> None:
        self._cni = CniCalls(self._sandboxes, self._cache)
        self._queries = Queries(
            settings.node,
            table=self._table,
            inspector=self._inspector,
            netlink=self._netlink,
            registry=self._registry,
            cache=self._cache,
        )
        self._server = LocalServer(settings.socket, self._answer)

    async def start(self) -> None:
        """Adopt what is there and begin to serve. Raises KernelError, OSError."""
        adopted = self._adopt()
        asyncio.get_running_loop().add_reader(self._monitor.fileno(), self._ear.listen)
        await self._registry.start_all(self._context)
        await self._leftovers.sort_out()
        if adopted.orphans:
            # Before anybody calls: a repeated ADD makes ports of the same names.
            log.info("%d ports of no known sandbox are deleted", len(adopted.orphans))
            await self._deleter.delete(adopted.orphans)
        self._server.start()
        self._begin("Topologies", self._cache.run())
        self._begin("heartbeat", self._passes.beat())
        self._begin("passes", self._passes.run())
        self._begin("record", NodeRecord(self._settings, self._store, self._registry).publish())
        self._begin("adoption", self._settle_adopted(adopted))
        log.info(
            "node %s: %d sandboxes and %d ends adopted, %d drivers usable",
            self._settings.node,
            len(self._table.sandboxes),
            len(self._table.ends()),
            len(self._registry.usable()),
        )

    async def failed(self) -> None:
        """Return never, or raise what ended one of the daemon's endless tasks."""
        endless = [task for task in self._tasks if task.get_name() in ENDLESS]
        done, _ = await asyncio.wait(endless, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Stop serving; the kernel goes on forwarding as it is."""
        await self._server.stop(grace_s=STOP_LIMIT_S)
        asyncio.get_running_loop().remove_reader(self._monitor.fileno())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._aligner.close()
        await self._workers.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._publisher.flush()
        self._publisher.close()
        self._checkpoints.write_owed()
        await self._registry.stop_all(limit_s=STOP_LIMIT_S)
        await self._deleter.close()
        await self._store.close()
        for resource in (self._monitor, self._netlink, self._ethtool):
            resource.close()

    def _adopt(self) -> Adopted:
        ports, newborn = read_ports(self._netlink, self._ethtool), read_newborn(self._netlink)
        for ifindex in (*newborn, *(port.ifindex for port in ports)):
            self._indices.seen(ifindex)
        adopted = adopt(self._table, self._checkpoints.load(), ports, self._inspector.ended)
        rejoin(self._table, self._splicer)
        for end in self._table.ends():
            # What went down meanwhile is lost at once; what shall have carrier the store tells, if it is there.
            self._carrier.update(end)
        return adopted._replace(orphans=[*adopted.orphans, *newborn])

    async def _settle_adopted(self, adopted: Adopted) -> None:
        for sandbox in adopted.vanished:
            self._passes.vanished(sandbox)
        await self._cache.synced.wait()
        self._passes.full_pass_soon()

    def _begin(self, name: str, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    def _put_back(self) -> None:
        self._server.renew()
        self._checkpoints.catch_up(list(self._table.sandboxes.values()))

    def _kick(self, endpoint: Endpoint) -> None:
        self._workers.kick(endpoint)

    async def _answer(self, call: Call) -> bytes:
        env = call.frame.env
        if "MESHNET_QUERY" in env:
            return self._queries.answer(env["MESHNET_QUERY"])
        if "CNI_COMMAND" in env:
            return await self._cni.answer(call)
        return encode_reply(1, error_json(CniError(Code.INVALID_ENVIRONMENT, "CNI_COMMAND: is needed and missing")))

    def _context(self, name: str) -> DriverContext:
        return DriverContext(
            node=self._settings.node,
            netlink=self._netlink,
            log=logging.getLogger(f"meshnet.driver.{name}"),
            allocate=self._identifiers.allocate,
            changed=self._path_changed,
            pod=self._pod,
            underlay=self._underlay,
            settings=self._settings.of_driver(name),
        )

    def _path_changed(self, endpoint: Endpoint, reason: str) -> None:
        end = self._table.end(endpoint)
        if end is not None:
            self._settler.path_changed(end, reason)

    def _pod(self, endpoint: Endpoint) -> Pod | None:
        sandbox: Sandbox | None = self._table.current((endpoint.namespace, endpoint.pod))
        return sandbox
