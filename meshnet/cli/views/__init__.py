"""What `meshnet get` can show: for each kind, how it is read and which columns its table has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.views.links import LINKS
from meshnet.cli.views.live import DRIVERS, SANDBOXES
from meshnet.cli.views.nodes import NODES
from meshnet.cli.views.stored import EVENTS, TOPOLOGIES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.cli.views.base import View

VIEWS: Mapping[str, View] = {
    "topologies": TOPOLOGIES,
    "links": LINKS,
    "nodes": NODES,
    "sandboxes": SANDBOXES,
    "drivers": DRIVERS,
    "events": EVENTS,
}
