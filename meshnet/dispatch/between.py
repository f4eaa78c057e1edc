"""Links between nodes: whose default driver counts, whether both nodes have it, and what MTU both can carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.dispatch.catalog import KIND_OF_LINK, choose
from meshnet.driver.api import Scope
from meshnet.driver.told import LONGEST_SHOWN, one_line
from meshnet.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshnet.dispatch.place import Place
    from meshnet.driver.api import LinkDriver
    from meshnet.model.effective import EffectiveLink
    from meshnet.model.node_record import NodeRecord


def record_of(place: Place, node: str) -> NodeRecord:
    """Return what is known of the peer's node. Raises LinkError ``NodeUnknown``, ``AddressConflict``."""
    record = place.record(node)
    if record is None:
        raise LinkError("NodeUnknown", f"node {node}, which runs the peer, has not told of itself yet")
    own = place.underlay.address
    if own and record.addresses[:1] == (own,):
        raise LinkError(
            "AddressConflict",
            f"nodes {place.node} and {node} both say that they are reached at {own}; "
            "set HOST_IP or MESHNET_UNDERLAY_INTERFACE of each to what the others reach it at",
        )
    return record


def choose_between(place: Place, link: EffectiveLink, peer: NodeRecord) -> tuple[LinkDriver, str]:
    """Return the driver for a link to a node and why; both ends choose the same. Raises LinkError."""
    wanted, why = link.driver, ""
    if wanted is None:
        assert link.peer is not None
        lower = link.local.sort_key < link.peer.sort_key
        if lower:
            driver, why = choose(place.catalog, Scope.BETWEEN_NODES, None)
            wanted, why = driver.name, f"{KIND_OF_LINK[Scope.BETWEEN_NODES]}, and {place.node} prefers {driver.name}"
        elif not peer.default_driver:
            raise LinkError("DriverMissing", f"node {peer.name}, which chooses, has no driver for links between nodes")
        else:
            wanted = peer.default_driver
            why = f"{KIND_OF_LINK[Scope.BETWEEN_NODES]}, and {peer.name} prefers {wanted}"
    driver, named = choose(place.catalog, Scope.BETWEEN_NODES, wanted)
    if driver.name not in peer.drivers:
        why = one_line(peer.unusable.get(driver.name, ""), LONGEST_SHOWN)
        raise LinkError(
            "DriverMissing", f"driver {driver.name!r} is not usable on node {peer.name}" + (f": {why}" if why else "")
        )
    return driver, why or named


def mtu_between(place: Place, driver: LinkDriver, peer: NodeRecord, given: int | None) -> int:
    """Return the MTU of a link to a node, equal at both ends. Raises LinkError ``MtuTooLarge`` with the maximum."""
    limit = _least((place.limit(driver), peer.drivers[driver.name].mtu_limit))
    if given is None:
        wanted = _least((place.link_mtu(), peer.link_mtu or None, limit))
        assert wanted is not None
        return wanted
    if limit is not None and given > limit:
        raise LinkError(
            "MtuTooLarge",
            f"mtu {given}: driver {driver.name} carries at most {limit} between {place.node} and {peer.name}",
            retry=False,
        )
    return given


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)
