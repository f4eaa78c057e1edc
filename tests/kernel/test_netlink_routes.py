"""The way of the default route, on the real kernel."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from meshnet.netlink import Netlink, links
from meshnet.netlink.iproute import iproute
from meshnet.netlink.routes import default_device
from tests.kernel.pods import make_pod

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

VERSIONS = pytest.mark.parametrize("version", [4, 6])


def add(version: int, **route: object) -> None:
    """Add a route of that version in the test's namespace."""

    async def add() -> None:
        async with iproute() as ip:
            await ip.route("add", family=2 if version == 4 else 10, **route)

    asyncio.run(add())


@VERSIONS
def test_it_is_where_the_best_default_route_goes(netlink: Netlink, new_ns: Callable[[], int], version: int) -> None:
    worse, best = (make_pod(netlink, new_ns(), number).port.ifindex for number in (1, 2))
    netlink.run([links.set_link(ifindex, up=True) for ifindex in (worse, best)])
    assert default_device(netlink, version) == 0

    add(version, dst="default", oif=worse, priority=200)
    add(version, dst="default", oif=best, priority=100)

    assert default_device(netlink, version) == best
    assert default_device(netlink, 10 - version) == 0


@VERSIONS
@pytest.mark.parametrize("kind", ["unreachable", "blackhole", "prohibit"])
def test_a_route_that_goes_nowhere_is_none(netlink: Netlink, version: int, kind: str) -> None:
    add(version, dst="default", type=kind)

    assert default_device(netlink, version) == 0
