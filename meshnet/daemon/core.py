"""What keeps a node's links as they should be: the parts of `meshnet.reconcile`, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.daemon.rundir import RunDirectory, unusable
from meshnet.dispatch.place import Place
from meshnet.driver.calls import path_reason
from meshnet.driver.catalog import NodeCatalog
from meshnet.errors import InvalidObject, Problem
from meshnet.netlink.netns import may_enter
from meshnet.reconcile.align import Aligner
from meshnet.reconcile.announce import Announcer
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.carrier import CarrierKeeper
from meshnet.reconcile.checkpoints import Checkpoints
from meshnet.reconcile.facts import Facts
from meshnet.reconcile.furnish import Furnisher
from meshnet.reconcile.gate import ReadinessGate
from meshnet.reconcile.hear import Ear
from meshnet.reconcile.identifiers import Identifiers
from meshnet.reconcile.inspect import Inspector
from meshnet.reconcile.keyed import KeyedWorkers
from meshnet.reconcile.lastvalid import LastValid
from meshnet.reconcile.leftovers import Leftovers
from meshnet.reconcile.nodes import NodeCache
from meshnet.reconcile.passes import Passes
from meshnet.reconcile.patch import Patcher
from meshnet.reconcile.publish import Publisher
from meshnet.reconcile.remote import Remotes
from meshnet.reconcile.sandboxes import Sandboxes
from meshnet.reconcile.segment import Segmenter
from meshnet.reconcile.settle import Settler
from meshnet.reconcile.table import Table
from meshnet.reconcile.writer import StatusWriter
from meshnet.stores.cluster import ClusterStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from meshnet.daemon.kernel import Kernel
    from meshnet.daemon.settings import Settings
    from meshnet.driver.registry import Registry
    from meshnet.model.topology import Endpoint, PodKey
    from meshnet.reconcile.end import End
    from meshnet.stores.base import Store


def open_identifiers(state_dir: Path) -> Identifiers:
    """Return the identifiers that a state directory keeps. Raises InvalidObject when it cannot be used."""
    path = state_dir / "identifiers.jsonl"
    try:
        return Identifiers(path)
    except OSError as error:
        raise unusable("MESHNET_STATE_DIR", path, "a file that it can read and write", error) from error


class Core:
    """The parts, each made once; what they tell each other goes through the methods at the end.

    Args:
        settings: of the daemon.
        store: with the Topologies and the nodes.
        registry: the drivers.
        kernel: of the node.
        put_back: called when the run directory was made anew.
        node_changed: called with the name of each node whose record came, changed or went.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        registry: Registry,
        kernel: Kernel,
        *,
        put_back: Callable[[], None],
        node_changed: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._node_changed = node_changed
        self.table = Table(settings.node, self._end_forgotten)
        self.identifiers = open_identifiers(settings.state_dir)
        self.checkpoints = Checkpoints(settings.run_dir / "sandboxes")
        self.inspector = Inspector(kernel.netlink, kernel.ethtool, self.table)
        self.nodes = NodeCache(store, self._record_changed)
        self.last_valid = LastValid(settings.run_dir / "last-valid")
        self.cache = TopologyCache(store, self._topology_changed, self.table.has_claimed, self.last_valid)
        self.remotes = Remotes(self.table, self._far_changed)
        self.announcer = Announcer(self.table, self._links_lead_to, self.remotes.far)
        self.carrier = CarrierKeeper(self.table, self.remotes, kernel.splicer, self.announcer.look)
        writer = StatusWriter(
            store,
            self.cache,
            self.table,
            carrier=self.carrier,
            identifiers=self.identifiers,
            node=settings.node,
            node_ip=kernel.underlay.address,
            gate=_gate(settings, store),
        )
        self.publisher = Publisher(writer, self.table)
        catalog = NodeCatalog(registry)
        self.place = Place(settings.node, catalog, kernel.underlay, self.nodes.record)
        self._build_settler(kernel, catalog)
        self._build_sandboxes(kernel)
        self._build_watches(kernel, put_back)

    def _build_settler(self, kernel: Kernel, catalog: NodeCatalog) -> None:
        self._furnisher = Furnisher(
            netlink=kernel.netlink,
            maker=kernel.maker,
            splicer=kernel.splicer,
            deleter=kernel.deleter,
            table=self.table,
            saved=self.checkpoints.save_soon,
        )
        self._patcher = Patcher(
            catalog=catalog,
            table=self.table,
            splicer=kernel.splicer,
            carrier=self.carrier,
            furnisher=self._furnisher,
            segmenter=Segmenter(kernel.netlink, kernel.splicer, reenters=may_enter()),
            facts=Facts(self.place, self.table, self.remotes, self.identifiers),
            saved=self.checkpoints.save_soon,
            kick=self.kick,
        )
        self.settler = Settler(
            place=self.place,
            table=self.table,
            cache=self.cache,
            carrier=self.carrier,
            patcher=self._patcher,
            inspector=self.inspector,
            changed=lambda end: self.publisher.changed(end.sandbox),
            kick=self.kick,
        )
        self.workers = KeyedWorkers(self.settler.settle)

    def _build_sandboxes(self, kernel: Kernel) -> None:
        self.aligner = Aligner(
            table=self.table,
            cache=self.cache,
            settler=self.settler,
            patcher=self._patcher,
            identifiers=self.identifiers,
            furnisher=self._furnisher,
            workers=self.workers,
            publisher=self.publisher,
            checkpoints=self.checkpoints,
        )
        self.sandboxes = Sandboxes(
            table=self.table,
            settler=self.settler,
            patcher=self._patcher,
            identifiers=self.identifiers,
            furnisher=self._furnisher,
            workers=self.workers,
            publisher=self.publisher,
            checkpoints=self.checkpoints,
            deleter=kernel.deleter,
            inspector=self.inspector,
            aligner=self.aligner,
        )

    def _build_watches(self, kernel: Kernel, put_back: Callable[[], None]) -> None:
        self.leftovers = Leftovers(self._registry, self.table, self.workers)
        self.passes = Passes(
            table=self.table,
            sandboxes=self.sandboxes,
            aligner=self.aligner,
            workers=self.workers,
            inspector=self.inspector,
            publisher=self.publisher,
            leftovers=self.leftovers,
            alive=RunDirectory(self._settings.run_dir, put_back),
            pass_s=self._settings.pass_s,
        )
        self.ear = Ear(
            kernel.monitor,
            kernel.netlink,
            self.table,
            self.carrier,
            ended=self.inspector.ended,
            kick=self.kick,
            vanished=self.passes.vanished,
            lost=self.passes.full_pass_soon,
        )

    def kick(self, endpoint: Endpoint) -> None:
        """Settle an end soon."""
        self.workers.kick(endpoint)

    def path_changed(self, driver: str, endpoint: Endpoint, reason: str) -> None:
        """Take note of what a driver says of an end's path."""
        end = self.table.end(endpoint)
        if end is not None:
            self.settler.path_changed(end, path_reason(driver, reason), by=driver)

    async def follow_store(self) -> None:
        """Follow the Topologies, once the nodes are known: a link to one that is not is no link."""
        await self.nodes.synced.wait()
        await self.cache.run()

    def _end_forgotten(self, endpoint: Endpoint) -> None:
        self.announcer.gone(endpoint)

    def _topology_changed(self, key: PodKey) -> None:
        self.sandboxes.topology_changed(key)

    def _far_changed(self, end: End, again: bool) -> None:
        self.settler.far_changed(end, again=again)

    def _links_lead_to(self, nodes: frozenset[str]) -> None:
        self.remotes.lead_to(nodes)

    def _record_changed(self, node: str) -> None:
        """A node told of itself: what leads there, or could not yet, is looked at again."""
        self.workers.kick_all([end.endpoint for end in self.table.ends() if end.plan and end.plan.node == node])
        self._node_changed(node)


def _gate(settings: Settings, store: Store) -> ReadinessGate | None:
    """Return what tells pods that their links are ready. Raises InvalidObject where there are none to tell."""
    if not settings.readiness_gate:
        return None
    if not isinstance(store, ClusterStore):
        problem = Problem("MESHNET_READINESS_GATE", "true", f"false with the store {settings.store}: it has no pods")
        raise InvalidObject("settings", [problem])
    return ReadinessGate(store)
