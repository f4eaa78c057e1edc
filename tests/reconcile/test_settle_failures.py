"""What is told of an end, and of its peer, while its driver fails or takes its time."""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.driver.api import Device
from meshnet.errors import KernelError
from meshnet.model.resource import Kind
from meshnet.reconcile.cache import TopologyCache
from meshnet.reconcile.linkstate import link_state
from meshnet.reconcile.table import Table
from meshnet.stores.memory import MemoryStore
from tests.reconcile.fakes import Moody
from tests.reconcile.made import end, enter, link, sandbox, topology
from tests.reconcile.parts import Parts
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.driver import LinkDriver, LinkEnd, Peer
    from meshnet.model.topology import Endpoint
    from meshnet.reconcile.end import End


class Room:
    """r1 and r2, linked, on one node."""

    def __init__(self, driver: type[LinkDriver] = Moody) -> None:
        self.changed: list[End] = []
        self.kicked: list[Endpoint] = []
        self.table = Table("n1")
        self._store = MemoryStore()
        self.cache = TopologyCache(self._store, lambda _: None)
        self.parts = Parts(self.table, self.cache, driver, changed=self.changed.append, kick=self.kicked.append)
        self.settler = self.parts.settler
        one, other = sandbox("r1"), sandbox("r2")
        self.e1 = end(one, "eth1", "r2:eth1", ifindex=1)
        self.e2 = end(other, "eth1", "r1:eth1", ifindex=2)
        enter(self.table, one, other)

    async def open(self) -> None:
        await self.put(topology("r1", link(1, "eth1", "r2:eth1")))
        await self.put(topology("r2", link(1, "eth1", "r1:eth1")))
        self.cache.synced.set()

    async def put(self, document: Mapping[str, Any]) -> None:
        await self._store.apply(document)
        for resource in (await self._store.list(Kind.TOPOLOGY)).items:
            self.cache.take(resource)

    async def settle(self) -> None:
        for here in (self.e1, self.e2):
            await self.settler.settle(here.endpoint)

    def state(self, end: End) -> tuple[str, str]:
        return link_state(end, self.e1 if end is self.e2 else self.e2)[:2]

    def carriers(self) -> tuple[bool, bool]:
        assert self.e1.port is not None
        assert self.e2.port is not None
        return self.e1.port.up, self.e2.port.up


def failing(driver: type[Moody]) -> None:
    driver.fails = frozenset({"r1"})


def test_while_a_failing_end_is_tried_again_its_reason_stays() -> None:
    class Slow(Moody):
        name = "slow"
        takes_s = 5.0

    async def main() -> None:
        room = Room(Slow)
        await room.open()
        failing(Slow)
        await room.settle()
        assert room.state(room.e1) == ("Failed", "NoLuck")
        again = asyncio.create_task(room.settler.settle(room.e1.endpoint))
        await asyncio.sleep(2.0)
        assert room.state(room.e1) == ("Failed", "NoLuck")
        await again

    run(main())


@pytest.mark.parametrize("name", ["", "default/r2:eth1: "])
def test_what_a_peer_on_this_node_has_no_interface_for_is_its_own_reason(name: str) -> None:
    async def main() -> None:
        room = Room()
        await room.open()
        room.e2.port = None
        room.e2.fail("NameTaken", f"{name}the pod has an interface of that name already")
        await room.settler.settle(room.e1.endpoint)
        assert room.state(room.e1) == ("Pending", "PeerNotPatched")  # as on two nodes: its own end waits
        assert room.e1.message == "default/r2:eth1 has no interface: the pod has an interface of that name already"

    run(main())


def test_a_peer_that_runs_here_without_the_interface_is_not_said_not_to_run() -> None:
    """As one that cannot be entered any more, which says `RestartPod`."""

    async def main() -> None:
        room = Room()
        await room.open()
        del room.e2.sandbox.ends["eth1"]
        room.table.forget(room.e2)
        await room.settler.settle(room.e1.endpoint)
        assert room.state(room.e1) == ("Pending", "PeerNotPatched")
        assert room.e1.fault[1] == "default/r2:eth1 has no interface yet: its pod was started without it"
        room.table.remove(room.e2.sandbox)
        await room.settler.settle(room.e1.endpoint)
        assert room.state(room.e1) == ("Pending", "PeerNotRunning")

    run(main())


def test_a_peer_that_goes_while_an_end_is_settled_is_no_failure_of_the_driver() -> None:
    """As while another driver takes its interface out of the pod, and core makes the port in its place."""

    async def main() -> None:
        room = Room()
        await room.open()

        async def apply(end: End, plan: object) -> None:
            room.table.remove(room.e2.sandbox)

        room.parts.furnisher.apply = apply
        await room.settler.settle(room.e1.endpoint)
        assert room.state(room.e1) == ("Pending", "PeerNotPatched")

    run(main())


def test_a_peer_whose_driver_was_told_of_a_port_that_is_another_by_now_is_settled_again() -> None:
    """Also when what it splices is a device of its own."""

    class Devices(Moody):
        name = "devices"

        async def patch(self, link: LinkEnd, peer: Peer | None) -> Device:  # type: ignore[override]
            return Device(7)

    async def main() -> None:
        room = Room(Devices)
        await room.open()
        await room.settle()
        await room.settle()
        assert room.state(room.e1) == ("Up", "")
        room.kicked.clear()
        made = room.e2.port
        assert made is not None
        room.e2.lose_port()  # somebody has deleted it
        made.ifindex += 100
        room.e2.port = made
        await room.settler.settle(room.e2.endpoint)
        assert room.kicked == [room.e1.endpoint]
        await room.settle()
        assert room.e1.told is not None
        assert room.e1.told.port == made.facts()
        assert room.state(room.e1) == ("Up", "")

    run(main())


def test_an_end_whose_pod_has_not_seen_the_loss_of_carrier_is_settled_again() -> None:
    async def main() -> None:
        room = Room()
        await room.open()
        assert room.e1.port is not None
        room.e1.port.fading = True
        await room.settler.settle(room.e1.endpoint)
        assert not await room.settler.settle(room.e2.endpoint)
        assert room.carriers() == (False, True)
        room.e1.port.fading = False
        assert await room.settler.settle(room.e2.endpoint)
        assert room.carriers() == (True, True)

    run(main())


def test_an_end_that_turns_to_another_peer_loses_carrier_first() -> None:
    """Even when the new one is patched to it already."""

    class Watching(Moody):
        name = "watching"

    async def main() -> None:
        room = Room(Watching)
        await room.open()
        third = sandbox("r3")
        e3 = end(third, "eth1", "r1:eth1", ifindex=3)
        enter(room.table, third)
        await room.settle()
        assert room.carriers() == (True, True)
        for document in (topology("r1", link(1, "eth1", "r3:eth1")), topology("r3", link(1, "eth1", "r1:eth1"))):
            await room.put(document)
        await room.settler.settle(e3.endpoint)
        taken: list[bool] = []
        room.parts.splicer.splice = lambda port, *_, **__: taken.append(port.up)
        await room.settler.settle(room.e1.endpoint)
        assert taken[-1:] == [False]
        assert room.carriers() == (True, False)

    run(main())


def test_both_ends_lose_carrier_when_one_fails() -> None:
    class Failing(Moody):
        name = "failing"

    async def main() -> None:
        room = Room(Failing)
        await room.open()
        await room.settle()
        assert room.carriers() == (True, True)
        failing(Failing)
        room.changed.clear()
        await room.settler.settle(room.e1.endpoint)
        assert room.carriers() == (False, False)
        assert room.state(room.e2) == ("Pending", "PeerNotPatched")
        assert room.e2 in room.changed
        Failing.fails = frozenset()
        await room.settler.settle(room.e1.endpoint)
        assert room.carriers() == (True, True)

    run(main())


def test_an_end_that_the_kernel_refuses_something_of_is_looked_at_again() -> None:
    async def main() -> None:
        room = Room()
        await room.open()
        await room.settle()

        def refuse(*_: object, **__: object) -> None:
            raise KernelError(errno.EINVAL, "splice")

        room.parts.splicer.splice = refuse
        assert not await room.settler.settle(room.e1.endpoint)
        assert room.state(room.e1) == ("Failed", "KernelRefused")
        assert room.parts.inspector.looked_at == [room.e1]

    run(main())


def test_a_path_that_fails_at_one_end_takes_carrier_at_both() -> None:
    class Plain(Moody):
        name = "plain"

    async def main() -> None:
        room = Room(Plain)
        await room.open()
        await room.settle()
        room.settler.path_changed(room.e1, "PathDown", by=room.e1.patched_by)
        assert room.carriers() == (False, False)
        assert room.changed[-2:] == [room.e1, room.e2]
        room.settler.path_changed(room.e1, "", by=room.e1.patched_by)
        assert room.carriers() == (True, True)

    run(main())


def test_what_one_driver_said_of_its_path_does_not_outlive_its_patch() -> None:
    class Plain(Moody):
        name = "plain"

    async def main() -> None:
        room = Room(Plain)
        await room.open()
        await room.settle()
        room.settler.path_changed(room.e1, "PathDown", by=room.e1.patched_by)
        await room.parts.patcher.unpatch(room.e1)
        await room.settle()
        assert room.state(room.e1) == ("Up", "")

    run(main())
