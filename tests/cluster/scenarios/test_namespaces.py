"""Two namespaces with the same pods, links and uids, on the same nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.scenarios.space import APART, CABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.scenarios.space import Space

RECEIVED = "/sys/class/net/eth1/statistics/rx_packets"


def test_no_frame_crosses(another: Callable[[], Space]) -> None:
    here, there = another(), another()
    for space in (here, there):
        space.wire(CABLE, places=APART)
    address = CABLE.addresses[1]
    # nobody here may answer for the one that is gone there
    there.delete("pod/r2")
    there.wait_carrier("r1", "0")
    before = int(here.inside("r2", "cat", RECEIVED))

    assert not there.pings("r1", address)
    there.try_kubectl("exec", "r1", "--", "ping", "-c20", "-i0.05", "-W1", address)
    assert here.pings("r1", address)

    # a ping, and what it asked first
    assert int(here.inside("r2", "cat", RECEIVED)) - before < 10
