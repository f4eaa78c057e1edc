"""What one event meets does not keep the others from being heard."""

from __future__ import annotations

import errno
import struct
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import BatchError
from meshnet.netlink.events import LinkEvent
from meshnet.netlink.ifla import IFF_RUNNING, IFF_UP, IFINFO
from meshnet.panel.splice import Splicer
from meshnet.reconcile.hear import Ear
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, enter, join, sandbox
from tests.reconcile.parts import keeper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Request
    from meshnet.reconcile.end import End


class Kernel:
    """Refuses to touch the ports in `refused`, and does all else; pods see at once that carrier was lost."""

    def __init__(self, error: int) -> None:
        self.error = error
        self.flags = IFF_UP
        self.refused: set[int] = set()

    def run(self, requests: Sequence[Request]) -> list[bytes]:
        failures = [
            (position, KernelError(self.error, request.what))
            for position, request in enumerate(requests)
            if struct.unpack_from("=4xi", request.body)[0] in self.refused
        ]
        if failures:
            raise BatchError(failures)
        return []

    def ask_many(self, requests: Sequence[Request]) -> list[bytes]:
        return [IFINFO.pack(0, 0, 1, self.flags, 0) for _ in requests]


class Monitor:
    """Tells what it is given."""

    def __init__(self) -> None:
        self.events: list[LinkEvent] = []

    def read(self) -> list[LinkEvent]:
        events, self.events = self.events, []
        return events


class Room:
    """Two links, r1 to r2 and r3 to r4, both up."""

    def __init__(self, error: int) -> None:
        self.table = Table()
        self.kernel = Kernel(error)
        self.monitor = Monitor()
        self.kicked: list[Endpoint] = []
        self.lost: list[bool] = []
        splicer = Splicer(cast("Any", self.kernel), cast("Any", None), redirect_peer=False)
        carrier = keeper(self.table, splicer)
        self.ear = Ear(
            cast("Any", self.monitor),
            cast("Any", None),
            self.table,
            carrier,
            ended=lambda _: False,
            kick=self.kicked.append,
            vanished=lambda _: None,
            lost=lambda: self.lost.append(True),
        )
        self.ends: list[End] = []
        for number in (1, 3):
            one, other = (sandbox(f"r{n}", nsid=n) for n in (number, number + 1))
            here = end(one, "eth1", f"r{number + 1}:eth1", ifindex=100 + number)
            there = end(other, "eth1", f"r{number}:eth1", ifindex=101 + number)
            join(here, there)
            enter(self.table, one, other)
            carrier.update(here)
            self.ends += [here, there]

    def down(self, *ends: End) -> None:
        """Let the kernel tell that pods' ends were set down."""
        self._tell(ends, up=False)

    def up(self, *ends: End) -> None:
        """Let the kernel tell that pods' ends were set up."""
        self._tell(ends, up=True)

    def _tell(self, ends: Sequence[End], *, up: bool) -> None:
        self.monitor.events = [LinkEvent(end.nsid, end.pod_ifindex, gone=False, up=up) for end in ends]
        self.ear.listen()

    def carrier(self, number: int) -> bool:
        port = self.ends[number - 1].port
        assert port is not None
        return port.up


def test_an_end_that_has_to_wait_for_its_carrier_is_settled_again() -> None:
    room = Room(errno.ENODEV)
    one, other = room.ends[:2]
    room.down(one)
    assert other.port is not None
    assert other.port.fading
    room.kernel.flags |= IFF_RUNNING
    room.up(one)
    assert not room.carrier(2)
    assert room.kicked == [one.endpoint]


@pytest.mark.parametrize("error", [errno.ENODEV, errno.ENOMEM])
def test_the_events_after_one_that_fails_are_heard(error: int) -> None:
    room = Room(error)
    assert room.carrier(2)
    assert room.carrier(4)
    room.kernel.refused = {102}

    room.down(room.ends[0], room.ends[2])

    assert not room.carrier(4)


def test_what_the_kernel_refused_is_done_later() -> None:
    room = Room(errno.ENOMEM)
    room.kernel.refused = {102}
    room.down(room.ends[0])
    assert room.lost == [True]


def test_a_port_that_is_gone_is_told_of_by_its_own_event() -> None:
    room = Room(errno.ENODEV)
    room.kernel.refused = {102}
    room.down(room.ends[0])
    assert room.lost == []
