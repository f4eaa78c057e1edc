"""Two namespaces with the same pods, links and uids, on the same nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.scenarios.space import APART, CABLE
from tests.lab.scenarios.wiring import topology

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.machine.cluster import Cluster
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


def test_no_pod_gets_at_a_link_of_another_namespace_by_what_it_is_made_of(
    mesh: Cluster, another: Callable[[], Space]
) -> None:
    here, there = another(), another()
    here.wire(CABLE, places=APART)
    names = mesh.node(APART["r1"]).run("sh", "-c", f"cd /sys/class/net; grep -l {here.name}/ */ifalias").split()
    parts = [name.partition("/")[0] for name in names]
    assert {name[:2] for name in parts} == {"mn", "vx"}
    links = [
        {"uid": uid, "local_intf": f"eth{uid}", "peer_pod": "localhost", "peer_intf": part}
        for uid, part in enumerate(parts, 1)
    ]

    there.apply(topology("r1", links, there.name))
    there.start({"r1": APART["r1"]})
    there.wait_running("r1")

    there.wait_reason("r1", "ParentUnsuitable")
    assert {link["reason"] for link in there.status("r1")["links"]} == {"ParentUnsuitable"}
    assert "eth1" not in there.inside("r1", "ls", "/sys/class/net").split()
