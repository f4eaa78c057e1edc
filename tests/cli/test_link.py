"""``meshnet link`` while others write the same Topology."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest

from meshnet.cli.link import set_down
from meshnet.cli.links import ends
from meshnet.errors import Conflict
from meshnet.model.resource import Kind, Resource
from tests import virtual_time
from tests.cli.objects import link, topology

if TYPE_CHECKING:
    from meshnet.stores.base import Store

TOPOLOGY = Resource(Kind.TOPOLOGY, topology("r1", link(1, "r2")))


@attrs.define
class Contested:
    """A store in which others are faster, so often."""

    conflicts: float
    patched: int = 0

    async def get(self, *_: Any) -> Resource:
        return TOPOLOGY

    async def patch(self, *_: Any, **__: Any) -> None:
        if self.patched < self.conflicts:
            self.patched += 1
            raise Conflict("others were faster")


def unplug(store: Contested) -> str:
    (end,) = ends([TOPOLOGY])
    return virtual_time.run(set_down(cast("Store", store), end, down=True))


def test_who_unplugs_twenty_links_of_a_pod_at_once_unplugs_each() -> None:
    """As a script does that starts a command for each: the last has had nineteen before it."""
    assert unplug(Contested(19)) == "default/r1:eth1: unplugged"


def test_others_that_never_cease_are_told() -> None:
    store = Contested(float("inf"))
    with pytest.raises(Conflict, match="Topology default/r1: others change it all the time, for 10 s now"):
        unplug(store)
    assert store.patched < 100
