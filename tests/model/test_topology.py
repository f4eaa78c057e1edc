import attrs

from meshnet.model.topology import Endpoint, Link, Topology

FIRST, SECOND = Link(1, "r2", "eth1", "eth5"), Link(2, "localhost", "eth2", "eth0")
TOPOLOGY = Topology("lab", "r1", (FIRST, SECOND))


def test_a_link_by_its_interface():
    assert TOPOLOGY.link("eth1") is FIRST
    assert TOPOLOGY.link("eth2") is SECOND
    assert TOPOLOGY.link("eth5") is None


def test_a_changed_topology_finds_its_own_links():
    changed = attrs.evolve(TOPOLOGY, links=(SECOND,))

    assert changed.link("eth1") is None
    assert changed != TOPOLOGY
    assert attrs.evolve(changed, links=TOPOLOGY.links) == TOPOLOGY


def test_both_ends_of_a_link():
    assert TOPOLOGY.endpoint(FIRST) == Endpoint("lab", "r1", "eth1")
    assert TOPOLOGY.peer(FIRST) == Endpoint("lab", "r2", "eth5")
    assert TOPOLOGY.peer(SECOND) is None
    assert str(TOPOLOGY.peer(FIRST)) == "lab/r2:eth5"


def test_the_lower_endpoint_is_by_bytes_of_pod_and_interface():
    ends = [Endpoint("x", "r2", "eth1"), Endpoint("x", "r10", "eth2"), Endpoint("x", "r10", "eth10")]

    assert sorted(ends, key=lambda end: end.sort_key) == [ends[2], ends[1], ends[0]]
