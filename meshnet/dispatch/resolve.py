"""What an endpoint should be, from what both ends declare and where they run.

The answer is a `Plan`; one that cannot be carried out says why in a word (`reason`) and a sentence (`message`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.dispatch.between import choose_between, mtu_between, record_of
from meshnet.dispatch.catalog import choose
from meshnet.driver.api import Attachment, LinkDriver, Scope
from meshnet.driver.options import decode_options, per_end
from meshnet.errors import InvalidObject, LinkError
from meshnet.model.effective import EffectiveLink, addresses, effective, same, wanted_mtu

if TYPE_CHECKING:
    from meshnet.dispatch.place import Place
    from meshnet.model.topology import Claim, Endpoint, Link, Topology


@attrs.frozen
class Plan:
    """What one end of a link should be.

    Attributes:
        local, peer, down: of the effective link; peer is None for an external link.
        parent: of an external link the node's interface; else None.
        uid: the link's in its namespace.
        mtu: bytes, for the pod's interface.
        addresses: CIDRs for the pod's interface.
        mac: as the link gives it, or None.
        node: where the peer runs; ``""`` while that is not known, and for an external link.
        epoch: of the peer's sandbox, as its Topology says; of no matter for a peer on this node.
        receive_id: of the peer's end, likewise.
        driver: the driver to use; None while that cannot be told.
        why: the sentence that tells why this driver.
        options: decoded for the driver.
        offload: core's option of that name.
        reason, message: why the link cannot be patched; ``""`` when it can.
        waiting: the reason may go away by itself (the peer comes); else a user must act.
    """

    local: Endpoint
    peer: Endpoint | None
    parent: str | None
    uid: int
    mtu: int
    addresses: tuple[str, ...]
    mac: str | None
    down: bool = False
    node: str = ""
    epoch: int = 0
    receive_id: int = 0
    driver: LinkDriver | None = None
    why: str = ""
    options: Any = None
    offload: bool = False
    reason: str = ""
    message: str = ""
    waiting: bool = False

    def leads_away(self, here: str) -> bool:
        """Tell whether the peer runs on another node than the one named."""
        return self.peer is not None and self.node not in ("", here)

    @property
    def direct(self) -> bool:
        """The pod's interface is the driver's own."""
        return self.driver is not None and self.driver.attachment is Attachment.DIRECT


WAITING_FOR = frozenset({"PeerMissing", "PeerNotRunning", "NodeUnknown"})


def resolve(place: Place, topology: Topology, link: Link, peer: Topology | None, *, peer_here: bool) -> Plan:
    """Return the plan for the end of `link` in `topology`.

    `peer` is the peer's Topology as the cache has it; `peer_here`: a sandbox of the peer with that interface is on this
    node.
    """
    # One plan is made of what comes together here: a pod's way up has several for each of its links.
    known = _before_the_peer(place, topology, link, peer)
    try:
        own = _per_end(place, topology, link, peer, peer_here=peer_here)
        agreed = effective(topology, link, peer, own, canonical=place.catalog.canonical)
        known["down"] = agreed.down
        known["mtu"] = agreed.mtu or known["mtu"]
        scope = _scope(place, link, peer, peer_here=peer_here)
        if scope is Scope.BETWEEN_NODES:
            assert peer is not None
            known |= _to(peer.claim, known["peer"])
            record = record_of(place, peer.claim.node)
            driver, why = choose_between(place, agreed, record)
            known["mtu"] = mtu_between(place, driver, record, agreed.mtu)
        else:
            driver, why = choose(place.catalog, scope, agreed.driver)
            known["node"] = "" if link.external else place.node
    except LinkError as error:
        return Plan(**known, **_cannot(place, link, error))
    return Plan(**known, **_with_driver(agreed, driver, why))


def _before_the_peer(place: Place, topology: Topology, link: Link, peer: Topology | None) -> dict[str, Any]:
    """Return what of a plan is known of the pod's interface before its peer is."""
    return {
        "local": topology.endpoint(link),
        "peer": topology.peer(link),
        "parent": link.peer_intf if link.external else None,
        "uid": link.uid,
        "mtu": wanted_mtu(topology, link, peer) or place.link_mtu(),
        "addresses": addresses(topology, link, peer),
        "mac": link.local_mac,
        "down": link.down,
    }


def _cannot(place: Place, link: Link, error: LinkError) -> dict[str, Any]:
    """Return what of a plan says why; a driver that the link names still tells what the pod's interface is."""
    suits = error.reason != "DriverUnsuitable"
    driver = place.catalog.find(link.driver) if link.driver and suits else None
    waiting = error.reason in WAITING_FOR
    options = _own_options(driver, link)
    return {"driver": driver, "options": options, "reason": error.reason, "message": str(error), "waiting": waiting}


def _own_options(driver: LinkDriver | None, link: Link) -> Any:
    """Return the options that this end's entry gives, by which a driver's own interface is made while its peer is not.

    None when they are wrong, which is told once the peer is there; a port is not patched before that.
    """
    if driver is None or driver.attachment is not Attachment.DIRECT:
        return None
    try:
        return decode_options(driver, link.options, "options")[1]
    except InvalidObject:
        return None


def _scope(place: Place, link: Link, peer: Topology | None, *, peer_here: bool) -> Scope:
    if link.external:
        return Scope.EXTERNAL
    if peer_here:
        return Scope.SAME_NODE
    node = peer.claim.node if peer else ""
    if node in ("", place.node):
        raise LinkError("PeerNotRunning", f"pod {link.peer_pod} is not running yet")
    return Scope.BETWEEN_NODES


def _to(claim: Claim, peer: Endpoint) -> dict[str, Any]:
    """Return what of a plan leads to where the peer runs."""
    return {"node": claim.node, "epoch": claim.epoch, "receive_id": claim.receive_ids.get(peer.interface, 0)}


def _with_driver(agreed: EffectiveLink, driver: LinkDriver, why: str) -> dict[str, Any]:
    """Return what of a plan a driver decides."""
    known = {"driver": driver, "why": f"{why}; {driver.caution}" if driver.caution else why}
    try:
        core, options = decode_options(driver, agreed.options, "options")
    except InvalidObject as error:
        problems = "; ".join(map(str, error.problems))
        return known | {"reason": "InvalidOptions", "message": f"driver {driver.name}: {problems}"}
    return known | {"options": options, "offload": core.offload}


def _per_end(place: Place, topology: Topology, link: Link, peer: Topology | None, *, peer_here: bool) -> frozenset[str]:
    """Return the option keys that the ends may have differently: those of the driver that the link gets.

    Where that matters: most links have no options, or the same at both ends. While there is no driver nothing is said
    against any key; why there is none is what the plan says then.
    """
    other = topology if link.peer_pod == topology.name else peer
    back = other.link(link.peer_intf) if other else None
    if back is None or not back.options or same(back.options, link.options):
        return frozenset()
    driver = _driver(place, topology, link, peer, link.driver or back.driver, peer_here=peer_here)
    return per_end(type(driver)) if driver else frozenset(back.options)


def _driver(
    place: Place, topology: Topology, link: Link, peer: Topology | None, wanted: str | None, *, peer_here: bool
) -> LinkDriver | None:
    """Return the driver that a link gets, or None while it gets none."""
    if wanted is not None:
        return place.catalog.find(wanted)
    try:
        scope = _scope(place, link, peer, peer_here=peer_here)
        if scope is not Scope.BETWEEN_NODES:
            return choose(place.catalog, scope, None)[0]
        assert peer is not None
        ends = EffectiveLink(topology.endpoint(link), topology.peer(link))
        return choose_between(place, ends, record_of(place, peer.claim.node))[0]
    except LinkError:
        return None
