"""What a daemon answers of its links, with what drivers count."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import threading
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from meshnet.daemon.queries import TURN, Queries
from meshnet.driver import Device, LinkDriver, Scope
from meshnet.driver.registry import Registry
from meshnet.errors import KernelError
from meshnet.model.topology import Claim
from meshnet.netlink import addresses
from meshnet.panel.indices import FIRST
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, enter, sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from meshnet.driver import LinkEnd, Peer
    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Request


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


class Deaf(Counting):
    """Does not answer, and does not end when told to."""

    name = "deaf"
    asked: ClassVar[int] = 0

    async def counters(self, local: Endpoint) -> Mapping[str, int]:
        Deaf.asked += 1
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1000)
        await asyncio.sleep(1000)
        return {}


class Nothing:
    """Knows of nothing."""

    def live(self, _: object) -> None:
        return None

    def other(self, _: object) -> None:
        return None

    def topology(self, _: object) -> None:
        return None


def queries_of(table: Table, cache: Any = None, inspector: Any = None) -> Queries:
    nothing = cast("Any", Nothing())
    return Queries(
        "n1",
        table=table,
        inspector=inspector or nothing,
        registry=Registry.of(Counting, Lost, Deaf),
        cache=cache or nothing,
        carrier=nothing,
        peers=dict,
    )


def test_other_work_has_its_turns_while_thousands_of_ends_are_read() -> None:
    table, box = Table("n1"), sandbox()
    for number in range(5 * TURN):
        end(box, f"eth{number}", f"r2:eth{number}")
    enter(table, box)
    turns = itertools.count()
    read_in: list[int] = []

    class Reading(Nothing):
        def live(self, _: object) -> None:
            read_in.append(turn)

    async def main() -> None:
        nonlocal turn
        answer = asyncio.ensure_future(queries_of(table, inspector=Reading()).links())
        while not answer.done():
            turn = next(turns)
            await asyncio.sleep(0)
        assert len(answer.result()["links"]) == 5 * TURN

    turn = -1
    asyncio.run(main())
    assert max(Counter(read_in).values()) == TURN


def test_a_driver_that_cannot_count_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    table, box = Table("n1"), sandbox()
    for number, driver in enumerate(("counting", "lost", "lost"), 1):
        end(box, f"eth{number}", f"r2:eth{number}").patched_by = driver
    enter(table, box)
    queries = queries_of(table)

    for _ in range(2):
        rows = asyncio.run(queries.links())["links"]
        assert [row.get("driver_counters") for row in rows] == [{"frames": 3}, None, None]

    (line,) = caplog.messages
    assert "no counters: driver lost: KeyError" in line


def test_a_driver_that_hangs_when_it_is_asked_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshnet.daemon.queries.COUNT_LIMIT_S", 0.01)
    monkeypatch.setattr("meshnet.driver.calls.GRACE_S", 0.01)
    table, box = Table("n1"), sandbox()
    end(box, "eth1", "r2:eth1").patched_by = "deaf"
    enter(table, box)
    queries = queries_of(table)

    async def main() -> None:
        for _ in range(3):
            await queries.links()

    asyncio.run(main())
    assert Deaf.asked == 1


def test_an_end_whose_topology_was_deleted_is_there_and_has_not_failed() -> None:
    table, box = Table("n1"), sandbox()
    end(box, "eth1", "r2:eth1", reason="DriverMissing")
    end(box, "eth2", "r2:eth2").plan = None
    enter(table, box)
    told = queries_of(table).summary()
    assert (told["endpoints"], told["failed"]) == (2, 1)


def test_a_sandbox_whose_pod_runs_elsewhere_by_now_is_not_the_pods_current_one() -> None:
    table, box = Table("n1"), sandbox()
    enter(table, box)
    assert [row["current"] for row in queries_of(table).sandboxes()["sandboxes"]] == [True]

    taken = SimpleNamespace(uid="", claim=Claim("n2", "c-other", epoch=2))
    cache = SimpleNamespace(topology=lambda _: taken)
    assert [row["current"] for row in queries_of(table, cache).sandboxes()["sandboxes"]] == [False]


def test_pods_with_many_addresses_do_not_hold_the_daemon_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one that is held up for three seconds peers take the node for dead."""

    free, looked = threading.Event(), []

    def dump(*_: object, **__: object) -> list[bytes]:
        looked.append(free.wait(2))
        return []

    async def main() -> None:
        asked = asyncio.create_task(queries_of(table).links())
        asyncio.get_running_loop().call_soon(free.set)
        await asked
        assert looked == [True]

    table, box = Table("n1"), sandbox(nsid=1)
    end(box, "eth1", "r2:eth1", ifindex=FIRST)
    enter(table, box)
    monkeypatch.setattr("meshnet.netlink.Netlink.open", lambda: contextlib.nullcontext(SimpleNamespace(dump=dump)))
    asyncio.run(main())


def test_addresses_are_told_also_where_a_pod_changes_them_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def dump(request: Request, *, steady: bool = True) -> list[bytes]:
        if steady:
            raise KernelError(errno.EINTR, request.what)
        return [addresses.add_address(2, cidr).body for cidr in ("10.0.0.1/24", "10.0.0.2/24", "10.0.0.1/24")]

    table, box = Table("n1"), sandbox(nsid=1)
    end(box, "eth1", "r2:eth1", ifindex=FIRST)
    enter(table, box)
    monkeypatch.setattr("meshnet.netlink.Netlink.open", lambda: contextlib.nullcontext(SimpleNamespace(dump=dump)))
    (row,) = asyncio.run(queries_of(table).links())["links"]
    assert row["addresses"] == ["10.0.0.1/24", "10.0.0.2/24"]
