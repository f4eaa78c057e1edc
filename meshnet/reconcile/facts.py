"""What drivers are told of a link and of its peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver.link import LinkEnd, Peer
from meshnet.errors import LinkError
from meshnet.model import names
from meshnet.reconcile.identifiers import RECEIVE

if TYPE_CHECKING:
    from meshnet.dispatch.place import Place
    from meshnet.dispatch.resolve import Plan
    from meshnet.reconcile.end import End
    from meshnet.reconcile.identifiers import Identifiers
    from meshnet.reconcile.remote import Remotes
    from meshnet.reconcile.table import Table


class Facts:
    """Puts together what is known here for who makes a patch."""

    def __init__(self, place: Place, table: Table, remotes: Remotes, identifiers: Identifiers) -> None:
        self._place = place
        self._table = table
        self._remotes = remotes
        self._identifiers = identifiers

    def link_end(self, end: End, plan: Plan) -> LinkEnd:
        """Return a link as seen from an end. Raises LinkError when there is no identifier left for it."""
        return LinkEnd(
            local=end.endpoint,
            peer=plan.peer,
            parent=plan.parent,
            uid=plan.uid,
            mtu=plan.mtu,
            mac=end.applied.mac,
            options=plan.options,
            down=plan.down,
            alias=names.Mark.of(end.endpoint, plan.uid, end.sandbox.key.container_id).alias,
            port=end.port.facts() if end.port else None,
            pod=end.sandbox,
            epoch=end.sandbox.epoch,
            receive_id=self._receive_id(end) if plan.leads_away(self._place.node) else 0,
            offload=plan.offload,
        )

    def peer(self, end: End, plan: Plan) -> Peer | None:
        """Return what a driver may know of the other side.

        None for an interface of the node, and for a driver's own interface while its peer is not there. Raises
        LinkError when a port is to be spliced to one on this node that is not there.
        """
        if plan.peer is None:
            return None
        if plan.leads_away(self._place.node):
            return self._far(end, plan)
        peer = self._table.end(plan.peer)
        if not plan.direct and (peer is None or peer.port is None):
            why = "its pod has just gone" if peer is None else peer.trouble or "it is being made"
            raise LinkError("PeerNotPatched", f"{plan.peer} has no interface: {why}")
        if peer is None:
            return None
        return Peer(self._place.node, peer.port.facts() if peer.port else None, peer.sandbox.epoch)

    def _far(self, end: End, plan: Plan) -> Peer:
        far, record = self._remotes.far(end), self._place.record(plan.node)
        told = far.told if far and far.told and far.told.epoch == plan.epoch else None
        driver = record.drivers.get(plan.driver.name) if record and plan.driver else None
        return Peer(
            node=plan.node,
            port=None,
            epoch=plan.epoch,
            receive_id=plan.receive_id or (told.receive_id if told else 0),
            offer=told.offer if told else {},
            node_offer=driver.offer if driver else {},
        )

    def _receive_id(self, end: End) -> int:
        """Return what frames for an end are taken by. Raises LinkError when there is no identifier left."""
        try:
            return self._identifiers.allocate(RECEIVE, end.endpoint)
        except (OSError, LookupError) as error:
            raise LinkError("IdentifierMissing", f"{end.endpoint}: {error}") from error
