"""Interfaces that are made anew, or not wholly at first: they end up as the Topology says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.daemons import link, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from tests.kernel.daemons import DaemonNode, PodBox

pytestmark = pytest.mark.kernel


def external(parent: str, **options: str) -> dict[str, object]:
    more = {"options": options} if options else {}
    return topology("r1", link(1, "net1", f"localhost:{parent}", local_ip="10.0.0.1/24", **more))


@pytest.fixture
def r1(node: DaemonNode) -> PodBox:
    """A pod with a macvlan on the node's lan1; there is a lan2."""
    for name in ("lan1", "lan2"):
        node.run(f"ip link add {name} type bridge")
        node.run(f"ip link set {name} up")
    node.apply(external("lan1"))
    (pod,) = node.up("r1")
    assert pod.addresses("net1") == ["10.0.0.1/24"]
    return pod


def test_a_macvlan_on_another_parent_has_its_addresses(node: DaemonNode, r1: PodBox) -> None:
    before = r1.links()["net1"].ifindex

    node.apply(external("lan2"))

    assert eventually(lambda: "net1" in (links := r1.links()) and links["net1"].ifindex != before)
    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))
    assert r1.addresses("net1") == ["10.0.0.1/24"]
    assert r1.links()["net1"].up


def test_a_macvlan_that_the_pod_deleted_comes_back_with_its_addresses(node: DaemonNode, r1: PodBox) -> None:
    before = r1.links()["net1"].ifindex

    r1.run("ip", "link", "delete", "net1")

    assert eventually(lambda: "net1" in (links := r1.links()) and links["net1"].ifindex != before)
    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))
    assert r1.addresses("net1") == ["10.0.0.1/24"]


def test_a_direct_interface_that_becomes_a_port(node: DaemonNode, r1: PodBox) -> None:
    node.apply(
        topology("r1", link(1, "net1", "r2:eth1", local_ip="10.0.0.1/24")),
        topology("r2", link(1, "eth1", "r1:net1", local_ip="10.0.0.2/24")),
    )
    (r2,) = node.up("r2")

    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))
    assert eventually(lambda: r1.links()["net1"].kind == "veth" and r2.carrier())
    assert r1.addresses("net1") == ["10.0.0.1/24"]
    assert "Traceback" not in node.log()
