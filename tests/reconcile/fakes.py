"""What stands for the kernel and for a driver in tests of what decides."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, ClassVar

from meshnet.driver import LinkDriver, LinkError, Scope
from meshnet.panel.port import PanelPort
from meshnet.reconcile.end import Applied, End
from meshnet.reconcile.keyed import KeyedWorkers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meshnet.dispatch.resolve import Plan
    from meshnet.driver import LinkEnd, Peer, Port
    from meshnet.driver.api import Splice
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.sandbox import Sandbox


class Moody(LinkDriver):
    """Splices ports, after `takes_s` seconds; raises `error` for the pods in `fails`. Derive from it to change it."""

    api = 1
    name = "moody"
    scopes = Scope.SAME_NODE
    claims = Scope.SAME_NODE
    takes_s: ClassVar[float] = 0.0
    unpatch_takes_s: ClassVar[float] = 0.0
    fails: ClassVar[frozenset[str]] = frozenset()

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Port:
        await asyncio.sleep(self.takes_s)
        if link.local.pod in self.fails:
            raise LinkError("NoLuck", "not today")
        assert peer is not None
        assert peer.port is not None
        return peer.port

    async def unpatch(self, link: LinkEnd) -> None:
        await asyncio.sleep(self.unpatch_takes_s)


class SlowToGo(Moody):
    """Takes two seconds to take its patch out."""

    name = "slow"
    unpatch_takes_s = 2.0


def idle_workers() -> KeyedWorkers[Endpoint]:
    """Return workers that are content with everything."""

    async def content(_: Endpoint) -> bool:
        return True

    return KeyedWorkers(content)


class Splicer:
    """Notes on the port itself what is done to it. What is `fading` stays so."""

    def set_up(self, port: PanelPort, *, up: bool) -> bool:
        return self.set_all_up([(port, up)])

    def set_all_up(self, wanted: Sequence[tuple[PanelPort, bool]]) -> bool:
        for port, up in wanted:
            port.up = up and not port.fading
        return all(port.up == up for port, up in wanted)

    def splice(self, port: PanelPort, splice: Splice | None, *, offload: bool) -> None:
        """There is nobody to see it."""


class Inspector:
    """Notes which ends are looked at again; finds the ports of those in `gone` gone."""

    def __init__(self) -> None:
        self.looked_at: list[End] = []
        self.gone: set[End] = set()

    def look_again(self, end: End) -> None:
        self.looked_at.append(end)
        if end in self.gone:
            end.lose_port()


class Identifiers:
    """Counts from 1, and keeps nothing."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, Endpoint], int] = {}

    def allocate(self, pool: str, endpoint: Endpoint) -> int:
        return self._given.setdefault((pool, endpoint), len(self._given) + 1)

    def release(self, endpoints: Iterable[Endpoint]) -> None:
        """They rest for ever."""

    async def kept(self) -> None:
        """There is nothing that could be lost."""


class Furnisher:
    """Makes ports out of nothing."""

    def __init__(self, table: Any = None) -> None:
        self._table = table
        self._indices = itertools.count(1 << 20)

    def make(self, sandbox: Sandbox, plans: Sequence[Plan], inside: object) -> list[End]:
        ends = []
        for plan in plans:
            end = End(plan.local, sandbox, Applied(plan.uid, "02:00:00:00:00:01", plan.mtu, plan.addresses), plan=plan)
            index = next(self._indices)
            end.port = PanelPort(plan.local, plan.uid, sandbox.key.container_id, f"port{index}", index)
            end.port.pod_up = True
            sandbox.ends[plan.local.interface] = end
            ends.append(end)
        return ends

    async def apply(self, end: End, plan: object) -> None:
        """The pod's end is as it should be."""

    def observe(self, end: End, plan: object, driver: str) -> None:
        """A driver's own interface is as the driver made it."""

    async def remove(self, end: End) -> None:
        self._table.forget(end)
        del end.sandbox.ends[end.endpoint.interface]
