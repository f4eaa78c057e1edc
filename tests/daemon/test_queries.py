"""What a daemon answers of its links, with what drivers count."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from meshnet.daemon.queries import Queries
from meshnet.driver import Device, LinkDriver, Scope
from meshnet.driver.registry import Registry
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, enter, sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from meshnet.driver import LinkEnd, Peer
    from meshnet.model.topology import Endpoint


class Counting(LinkDriver):
    api = 1
    name = "counting"
    scopes = Scope.SAME_NODE

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Device:
        return Device(1)

    async def counters(self, local: Endpoint) -> Mapping[str, int]:
        return {"frames": 3}


class Lost(Counting):
    name = "lost"

    async def counters(self, local: Endpoint) -> Mapping[str, int]:
        raise KeyError(local)


class Nothing:
    """Knows of nothing."""

    def live(self, _: object) -> None:
        return None

    def other(self, _: object) -> None:
        return None


def test_a_driver_that_cannot_count_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    table, box = Table("n1"), sandbox()
    for number, driver in enumerate(("counting", "lost", "lost"), 1):
        end(box, f"eth{number}", f"r2:eth{number}").patched_by = driver
    enter(table, box)
    nothing = cast("Any", Nothing())
    queries = Queries(
        "n1",
        table=table,
        inspector=nothing,
        netlink=nothing,
        registry=Registry.of(Counting, Lost),
        cache=nothing,
        carrier=nothing,
        peers=dict,
    )

    for _ in range(2):
        rows = asyncio.run(queries.links())["links"]
        assert [row.get("driver_counters") for row in rows] == [{"frames": 3}, None, None]

    (line,) = caplog.messages
    assert "no counters: driver lost: KeyError" in line
