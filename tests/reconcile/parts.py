"""The parts that decide, put together without a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from meshnet.dispatch.place import Place
from meshnet.driver.catalog import NodeCatalog
from meshnet.driver.registry import Registry
from meshnet.reconcile.announce import Announcer
from meshnet.reconcile.carrier import CarrierKeeper
from meshnet.reconcile.facts import Facts
from meshnet.reconcile.patch import Patcher
from meshnet.reconcile.remote import Remotes
from meshnet.reconcile.segment import Segmenter
from meshnet.reconcile.settle import Settler
from tests.reconcile.fakes import Furnisher, Identifiers, Inspector, Splicer

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver import LinkDriver
    from meshnet.model.node_record import NodeRecord
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.cache import TopologyCache
    from meshnet.reconcile.end import End
    from meshnet.reconcile.table import Table


def keeper(table: Table, splicer: Any = None) -> CarrierKeeper:
    """Return what keeps carrier on a node that hears of no other."""
    remotes = Remotes(table, lambda _end, _again: None)
    return CarrierKeeper(table, remotes, splicer or cast("Any", Splicer()), lambda _: None)


class Parts:
    """What settles the ends of node n1.

    Attributes:
        records: of other nodes, by name.
    """

    def __init__(
        self,
        table: Table,
        cache: TopologyCache,
        *drivers: type[LinkDriver],
        changed: Callable[[End], None],
        kick: Callable[[Endpoint], None],
    ) -> None:
        self.records: dict[str, NodeRecord] = {}
        self.identifiers = cast("Any", Identifiers())
        self.catalog = NodeCatalog(Registry.of(*drivers))
        self.place = Place("n1", self.catalog, record=self.records.get)
        self.remotes = Remotes(table, lambda end, again: self.settler.far_changed(end, again=again))
        self.announcer = Announcer(table, self.remotes.lead_to, self.remotes.far)
        self.splicer = cast("Any", Splicer())
        self.carrier = CarrierKeeper(table, self.remotes, self.splicer, self.announcer.look)
        self.furnisher = cast("Any", Furnisher(table))
        self.patcher = Patcher(
            catalog=self.catalog,
            table=table,
            splicer=self.splicer,
            carrier=self.carrier,
            furnisher=self.furnisher,
            segmenter=Segmenter(cast("Any", None), self.splicer, reenters=True),
            facts=Facts(self.place, table, self.remotes, self.identifiers),
            saved=lambda _: None,
            kick=kick,
        )
        self.inspector = cast("Any", Inspector())
        self.settler = Settler(
            place=self.place,
            table=table,
            cache=cache,
            carrier=self.carrier,
            patcher=self.patcher,
            inspector=self.inspector,
            changed=changed,
            kick=kick,
        )
