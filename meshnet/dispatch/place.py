"""Where the deciding daemon stands: its node, the drivers there, and what it knows of the other nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from meshnet.driver.api import Scope, Underlay
from meshnet.driver.calls import mtu_limit
from meshnet.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver.api import LinkDriver
    from meshnet.driver.catalog import NodeCatalog
    from meshnet.model.node_record import NodeRecord

DEFAULT_MTU = 1500
"""Of a link that gives none, where nothing makes it smaller; bytes."""


def _nobody(_: str) -> NodeRecord | None:
    return None


@attrs.frozen
class Place:
    """Where the deciding daemon stands.

    Attributes:
        node: its node's name.
        catalog: the drivers usable there.
        underlay: by which it reaches other nodes.
        record: what another node tells of itself, by name; None when nothing is known of it.
    """

    node: str
    catalog: NodeCatalog
    underlay: Underlay = attrs.field(factory=lambda: Underlay(DEFAULT_MTU, 4))
    record: Callable[[str], NodeRecord | None] = _nobody

    def default_driver(self) -> LinkDriver | None:
        """Return the driver that this node prefers for links between nodes, or None."""
        try:
            claimants = self.catalog.claimants(Scope.BETWEEN_NODES)
        except LinkError:
            return None
        return claimants[0] if claimants else None

    def limit(self, driver: LinkDriver) -> int | None:
        """Return the largest MTU of a driver's links to other nodes, None for no limit. Raises LinkError."""
        return mtu_limit(driver, self.underlay)

    def link_mtu(self) -> int:
        """Return the MTU of a link that gives none, as far as this node goes; bytes.

        The same for every link, whatever its driver: known at ADD, and kept when a pod moves between nodes.
        """
        driver = self.default_driver()
        try:
            limit = self.limit(driver) if driver else None
        except LinkError:
            limit = None
        return min(DEFAULT_MTU, limit or DEFAULT_MTU)
