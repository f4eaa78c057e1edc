"""Which driver a link gets: named by the link, or the one that claims its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver.api import Scope
from meshnet.errors import LinkError

if TYPE_CHECKING:
    from meshnet.driver.api import LinkDriver
    from meshnet.driver.catalog import NodeCatalog

KIND_OF_LINK = {
    Scope.SAME_NODE: "both pods are on this node",
    Scope.BETWEEN_NODES: "the pods are on two nodes",
    Scope.EXTERNAL: "the peer is an interface of the node",
}


def choose(catalog: NodeCatalog, scope: Scope, wanted: str | None) -> tuple[LinkDriver, str]:
    """Return the driver for a link and the sentence that tells why it is that one. Raises LinkError."""
    if wanted is None:
        return _claimed(catalog, scope)
    driver = catalog.find(wanted)
    if driver is None:
        raise catalog.refusal(wanted)
    if scope not in driver.scopes:
        raise LinkError("DriverUnsuitable", f"driver {driver.name!r} cannot make this link: {KIND_OF_LINK[scope]}")
    return driver, f"the link names {driver.name}"


def _claimed(catalog: NodeCatalog, scope: Scope) -> tuple[LinkDriver, str]:
    claimants = catalog.claimants(scope)
    if not claimants:
        raise LinkError("DriverMissing", f"no usable driver claims this kind of link: {KIND_OF_LINK[scope]}")
    first, setting = claimants[0], catalog.chosen_by(scope)
    why = f"{setting} chooses {first.name} for such links" if setting else f"{first.name} claims such links"
    return first, f"{KIND_OF_LINK[scope]}, and {why}"
