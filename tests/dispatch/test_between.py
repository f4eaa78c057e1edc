"""Links between nodes: both ends come to the same driver and MTU, or both say why not."""

from __future__ import annotations

import attrs
import pytest

from meshnet.dispatch.place import Place
from meshnet.dispatch.resolve import resolve
from meshnet.driver.api import LinkDriver, Scope, Underlay
from meshnet.driver.catalog import NodeCatalog
from meshnet.driver.registry import Registry
from meshnet.model.node_record import DriverFacts, NodeRecord
from meshnet.model.topology import Claim, Link, Topology


async def patch(self, link, peer):
    return peer.port


def driver(name, *, limit=None, rank=0, **attributes):
    attributes = {
        "api": 1,
        "name": name,
        "rank": rank,
        "patch": patch,
        "mtu_limit": lambda _self, _underlay: limit,
    } | attributes
    return type(name, (LinkDriver,), {"scopes": Scope.BETWEEN_NODES, "claims": Scope.BETWEEN_NODES} | attributes)


class Node:
    """A node as the other one knows it, by the record that its daemon would write."""

    def __init__(self, name, *drivers, address=""):
        self.name = name
        self.address = address
        self.registry = Registry.of(*drivers)
        self.others = {}
        self.unusable = {}

    @property
    def place(self):
        return Place(
            self.name, NodeCatalog(self.registry), record=self.others.get, underlay=Underlay(1500, 4, self.address)
        )

    @property
    def record(self):
        default = self.place.default_driver()
        return NodeRecord(
            self.name,
            addresses=(self.address,) if self.address else (),
            default_driver=default.name if default else "",
            link_mtu=self.place.link_mtu(),
            drivers={
                entry.name: DriverFacts(entry.name, mtu_limit=self.place.limit(entry.driver))
                for entry in self.registry.usable()
            },
            unusable=self.unusable,
        )


FAST, SLOW = driver("fast", limit=1450, rank=5), driver("slow", limit=9500)


def both(one, two, mine=None, theirs=None):
    """Plan both ends of a link r1:eth1 on node `one` and r2:eth1 on node `two`."""
    one.others, two.others = {two.name: two.record}, {one.name: one.record}
    a = attrs.evolve(Link(7, "r2", "eth1", "eth1"), **(mine or {}))
    b = attrs.evolve(Link(7, "r1", "eth1", "eth1"), **(theirs or {}))
    left = Topology("lab", "r1", (a,), Claim(one.name, "c1", 3, receive_ids={"eth1": 11}))
    right = Topology("lab", "r2", (b,), Claim(two.name, "c2", 4, receive_ids={"eth1": 22}))
    return (
        resolve(one.place, left, a, right, peer_here=False),
        resolve(two.place, right, b, left, peer_here=False),
    )


def test_each_end_knows_where_its_peer_is():
    left, right = both(Node("n1", FAST), Node("n2", FAST))

    assert (left.node, left.epoch, left.receive_id) == ("n2", 4, 22)
    assert (right.node, right.epoch, right.receive_id) == ("n1", 3, 11)


@pytest.mark.parametrize(
    ("one", "two", "chosen"),
    [
        ((FAST, SLOW), (FAST, SLOW), "fast"),
        ((SLOW,), (FAST, SLOW), "slow"),
        # r1 is the lower endpoint: its node prefers
        ((FAST, SLOW), (SLOW, driver("fast", limit=1450, claims=Scope(0))), "fast"),
    ],
)
def test_the_lower_endpoints_node_chooses_for_both(one, two, chosen):
    left, right = both(Node("n1", *one), Node("n2", *two))

    assert (left.driver.name, left.reason) == (right.driver.name, right.reason) == (chosen, "")
    assert f"n1 prefers {chosen}" in left.why
    assert left.why == right.why


def test_what_the_other_node_has_not_got_is_missing_at_both():
    left, right = both(Node("n1", FAST, SLOW), Node("n2", SLOW))

    assert left.reason == right.reason == "DriverMissing"
    assert "'fast' is not usable on node n2" in left.message
    assert "'fast'" in right.message


@pytest.mark.parametrize(
    ("reason", "told"),
    [("no module vxlan", ": no module vxlan"), ("a\nb", ": a b"), ("x" * 500_000, f": {'x' * 199}…"), ("", "")],
    ids=["usual", "lines", "long", "none"],
)
def test_why_the_other_node_cannot_use_it_is_told_in_a_short_line(reason, told):
    one, two = Node("n1", FAST), Node("n2")
    two.unusable = {"fast": reason}
    left, _ = both(one, two)

    assert left.message == f"driver 'fast' is not usable on node n2{told}"


def test_a_node_without_any_says_so():
    left, right = both(Node("n1"), Node("n2", SLOW))

    assert left.reason == right.reason == "DriverMissing"
    assert "n1, which chooses, has no driver" in right.message


def test_a_named_driver_is_that_one():
    left, right = both(Node("n1", FAST, SLOW), Node("n2", FAST, SLOW), theirs={"driver": "slow"})

    assert left.driver.name == right.driver.name == "slow"
    assert left.why == "the link names slow"


@pytest.mark.parametrize(
    ("one", "two", "ends", "mtu"),
    [
        ((FAST,), (FAST,), {}, 1450),
        ((FAST,), (driver("fast", limit=1400),), {}, 1400),
        ((driver("fast", limit=8950),), (driver("fast", limit=8950),), {}, 1500),
        ((FAST,), (FAST,), {"mine": {"mtu": 1300}}, 1300),
        ((FAST,), (FAST,), {"theirs": {"mtu": 1450}}, 1450),
        ((SLOW,), (SLOW,), {"mine": {"mtu": 9500}}, 9500),
        # what one node prefers for its links is smaller than what the driver in use could carry
        ((FAST, SLOW), (FAST, SLOW), {"mine": {"driver": "slow"}}, 1450),
        ((SLOW,), (FAST, SLOW), {}, 1450),
        # and the other way round
        ((SLOW, driver("fast", limit=1450)), (SLOW, FAST), {"mine": {"driver": "fast"}}, 1450),
        ((driver("slow"),), (driver("slow"),), {"mine": {"mtu": 65000}}, 65000),
    ],
)
def test_the_mtu_is_the_same_at_both_ends(one, two, ends, mtu):
    left, right = both(Node("n1", *one), Node("n2", *two), **ends)

    assert (left.reason, right.reason) == ("", "")
    assert (left.mtu, right.mtu) == (mtu, mtu)


def test_one_that_cannot_be_names_the_maximum_at_both_ends():
    left, right = both(Node("n1", FAST), Node("n2", driver("fast", limit=1400)), mine={"mtu": 9000})

    assert left.reason == right.reason == "MtuTooLarge"
    for end in (left, right):
        assert "mtu 9000" in end.message
        assert "at most 1400" in end.message
        assert not end.waiting


@pytest.mark.parametrize("given", [{}, {"driver": "marked"}])
@pytest.mark.parametrize("key", ["own", "both"])
def test_what_may_differ_is_for_the_driver_that_both_come_to(given, key):
    @attrs.frozen
    class Options:
        own: int = attrs.field(default=0, metadata={"per_end": True})
        both: int = 0

    marked = driver("marked", rank=9, options=Options)
    ends = {"mine": given | {"options": {key: 1}}, "theirs": {"options": {key: 2}}}
    left, right = both(Node("n1", FAST, marked), Node("n2", FAST, marked), **ends)

    if key == "own":
        assert (left.reason, right.reason) == ("", "")
        assert (left.options, right.options) == (Options(own=1), Options(own=2))
    else:
        assert left.reason == right.reason == "PeerMismatch"


def test_two_nodes_with_one_address_are_told_apart_by_nobody():
    left, right = both(Node("n1", FAST, address="10.0.2.15"), Node("n2", FAST, address="10.0.2.15"))

    assert left.reason == right.reason == "AddressConflict"
    assert "10.0.2.15" in left.message
    assert "MESHNET_UNDERLAY_INTERFACE" in left.message


def test_two_nodes_with_an_address_each():
    left, right = both(Node("n1", FAST, address="10.0.2.15"), Node("n2", FAST, address="10.0.2.16"))

    assert (left.reason, right.reason) == ("", "")
