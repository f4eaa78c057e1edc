"""What an endpoint should be, and each reason why it cannot."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from meshnet.dispatch.place import Place
from meshnet.dispatch.resolve import resolve
from meshnet.driver.api import Attachment, LinkDriver, Scope
from meshnet.driver.catalog import NodeCatalog
from meshnet.driver.registry import Registry
from meshnet.errors import LinkError
from meshnet.model.node_record import DriverFacts, NodeRecord
from meshnet.model.topology import Claim, Endpoint, Link, Topology


class Driver(LinkDriver):
    api = 1

    async def patch(self, link, peer):
        return peer.port


@attrs.frozen
class WireOptions:
    colour: str = "grey"
    own: int = attrs.field(default=0, metadata={"per_end": True})


class Wire(Driver):
    name, aliases = "wire", ("CABLE",)
    scopes = claims = Scope.SAME_NODE
    options = WireOptions


class Tunnel(Driver):
    name = "tunnel"
    scopes = claims = Scope.BETWEEN_NODES


def limited(mtu):
    return type("Limited", (Tunnel,), {"mtu_limit": lambda _self, _underlay: mtu})


class Twin(Driver):
    name = "twin"
    scopes = claims = Scope.BETWEEN_NODES


class Nic(Driver):
    name = "nic"
    scopes = claims = Scope.EXTERNAL
    attachment = Attachment.DIRECT


def record(node, **facts):
    facts = {"default_driver": "tunnel", "drivers": {"tunnel": DriverFacts("tunnel")}} | facts
    return NodeRecord(node, **facts)


def place(*drivers, records=record):
    return Place("n1", NodeCatalog(Registry.of(*drivers)), record=records)


PLACE = place(Wire, Tunnel, Nic)


def ends(mine=None, theirs=None, *, node="n1"):
    here = Link(7, "r2", "eth1", "eth2", **(mine or {}))
    there = attrs.evolve(Link(7, "r1", "eth2", "eth1"), **(theirs or {}))
    return Topology("lab", "r1", (here,)), here, Topology("lab", "r2", (there,), Claim(node=node))


def plan(mine=None, theirs=None, *, node="n1", here=True, place=PLACE):
    topology, link, peer = ends(mine, theirs, node=node)
    return resolve(place, topology, link, peer, peer_here=here)


def test_a_link_on_one_node():
    found = plan({"addresses": ("10.0.0.1/24",), "local_mac": "02:00:00:00:00:01"})

    assert found.local == Endpoint("lab", "r1", "eth1")
    assert found.peer == Endpoint("lab", "r2", "eth2")
    assert (found.uid, found.mtu, found.addresses, found.mac) == (7, 1500, ("10.0.0.1/24",), "02:00:00:00:00:01")
    assert (found.driver.name, found.reason, found.direct, found.down, found.offload) == (
        "wire",
        "",
        False,
        False,
        False,
    )
    assert found.options == WireOptions()
    assert "wire claims such links" in found.why


def test_the_names_of_a_driver_that_does_not_work_here_agree():
    class Stuck(Wire):
        async def start(self, ctx):
            raise LinkError("No", "no such device")

    registry = Registry.of(Stuck)
    asyncio.run(registry.start_all(lambda _: None))
    found = plan({"driver": "wire"}, {"driver": "CABLE"}, place=Place("n1", NodeCatalog(registry)))
    assert (found.reason, found.message) == (
        "DriverUnusable",
        "driver 'wire' does not work on this node: no such device",
    )


def test_a_link_between_nodes():
    found = plan(node="n2", here=False)
    assert (found.driver.name, found.reason) == ("tunnel", "")


def test_where_the_sandbox_is_counts_more_than_what_the_status_says():
    assert plan(node="n2", here=True).driver.name == "wire"


def test_an_external_link():
    link = Link(3, "localhost", "net1", "ens3", addresses=("192.0.2.5/24",))
    topology = Topology("lab", "r1", (link,))
    found = resolve(PLACE, topology, link, None, peer_here=False)

    assert (found.peer, found.parent, found.driver.name, found.direct, found.reason) == (None, "ens3", "nic", True, "")


def test_a_link_of_a_pod_with_itself():
    one, other = Link(1, "r1", "eth1", "eth2"), Link(1, "r1", "eth2", "eth1")
    topology = Topology("lab", "r1", (one, other))

    assert resolve(PLACE, topology, one, topology, peer_here=True).reason == ""


@pytest.mark.parametrize(
    ("mine", "theirs", "field", "value"),
    [
        ({"mtu": 9000}, {}, "mtu", 9000),
        ({}, {"mtu": 9000}, "mtu", 9000),
        ({"down": True}, {}, "down", True),
        ({}, {"down": True}, "down", True),
        ({"options": {"offload": True}}, {}, "offload", True),
        ({}, {"options": {"offload": True}}, "offload", True),
        ({}, {"options": {"colour": "red"}}, "options", WireOptions("red")),
        ({"driver": "wire", "options": {"own": 1}}, {"options": {"own": 2}}, "options", WireOptions(own=1)),
        ({"options": {"own": 1}}, {"driver": "CABLE", "options": {"own": 2}}, "options", WireOptions(own=1)),
        ({"options": {"own": 1}}, {"options": {"own": 2}}, "options", WireOptions(own=1)),
        ({"options": {"own": 1}}, {"options": {"own": True}}, "options", WireOptions(own=1)),
        ({}, {"options": {"own": 2, "colour": "red"}}, "options", WireOptions("red")),
        ({}, {"peer_ip": "10.0.0.9/24"}, "addresses", ("10.0.0.9/24",)),
        ({"addresses": ("10.0.0.1/24",)}, {"peer_ip": "10.0.0.9/24"}, "addresses", ("10.0.0.1/24",)),
        ({"driver": "wire"}, {"driver": "CABLE"}, "reason", ""),
    ],
)
def test_both_ends_count(mine, theirs, field, value):
    found = plan(mine, theirs)
    assert found.reason == ""
    assert getattr(found, field) == value


REASONS = [
    ("PeerMismatch", False, plan, {"theirs": {"uid": 8}}),
    ("PeerMismatch", False, plan, {"theirs": {"peer_pod": "r3"}}),
    ("PeerMismatch", False, plan, {"theirs": {"peer_intf": "eth9"}}),
    ("PeerMismatch", False, plan, {"mine": {"mtu": 1400}, "theirs": {"mtu": 1500}}),
    ("PeerMismatch", False, plan, {"mine": {"driver": "wire"}, "theirs": {"driver": "tunnel"}}),
    ("PeerMismatch", False, plan, {"mine": {"options": {"colour": "a"}}, "theirs": {"options": {"colour": "b"}}}),
    (
        "PeerMismatch",
        False,
        plan,
        {"mine": {"options": {"own": 1, "colour": "a"}}, "theirs": {"options": {"own": 2, "colour": "b"}}},
    ),
    ("PeerMissing", True, plan, {"theirs": {"local_intf": "eth9"}}),
    ("PeerNotRunning", True, plan, {"node": "", "here": False}),
    ("PeerNotRunning", True, plan, {"node": "n1", "here": False}),
    ("DriverMissing", False, plan, {"mine": {"driver": "no-such"}}),
    ("DriverMissing", False, plan, {"place": place()}),
    ("DriverMissing", False, plan, {"node": "n2", "here": False, "place": place(Wire)}),
    ("NodeUnknown", True, plan, {"node": "n2", "here": False, "place": place(Tunnel, records=lambda _: None)}),
    ("DriverUnsuitable", False, plan, {"mine": {"driver": "tunnel"}}),
    ("DriverUnsuitable", False, plan, {"mine": {"driver": "wire"}, "node": "n2", "here": False}),
    ("DriverUnsuitable", False, plan, {"theirs": {"driver": "nic"}}),
    (
        "DriverAmbiguous",
        False,
        plan,
        {"node": "n2", "here": False, "place": place(Tunnel, Twin)},
    ),
    ("InvalidOptions", False, plan, {"mine": {"options": {"no": "such"}}}),
    ("InvalidOptions", False, plan, {"mine": {"options": {"colour": 3}}}),
    ("InvalidOptions", False, plan, {"theirs": {"options": {"offload": "yes"}}}),
]


@pytest.mark.parametrize(("reason", "waiting", "make", "given"), REASONS)
def test_each_reason_says_what_the_interface_is_all_the_same(reason, waiting, make, given):
    found = make(**given)

    assert (found.reason, found.waiting) == (reason, waiting)
    assert found.message
    # an interface is there from ADD on, whatever becomes of its cable
    assert found.local == Endpoint("lab", "r1", "eth1")
    assert found.mtu in (1400, 1500)
    assert found.uid == 7


def test_without_the_peers_topology():
    topology, link, _ = ends({"addresses": ("10.0.0.1/24",), "mtu": 1300, "down": True})
    found = resolve(PLACE, topology, link, None, peer_here=False)

    assert (found.reason, found.waiting, found.driver) == ("PeerMissing", True, None)
    assert (found.mtu, found.addresses, found.down) == (1300, ("10.0.0.1/24",), True)


def test_a_named_driver_tells_what_the_interface_is_before_the_peer_is_there():
    link = Link(3, "r2", "net1", "eth1", driver="nic")
    found = resolve(PLACE, Topology("lab", "r1", (link,)), link, None, peer_here=False)

    assert found.reason == "PeerMissing"
    assert found.direct


def test_a_message_names_field_and_value():
    found = plan({"options": {"colour": 3}})
    assert found.message == "driver wire: options.colour: 3: right would be a string"
    assert "uid is 7 at lab/r1:eth1 and 8 at lab/r2:eth2" in plan(theirs={"uid": 8}).message


def test_the_nodes_own_mtu_is_that_of_links_that_give_none():
    small = place(Wire, limited(1450))
    assert plan(place=small).mtu == 1450
    assert plan({"mtu": 1500}, place=small).mtu == 1500
    assert plan(place=place(Wire, limited(9000))).mtu == 1500


def test_a_driver_that_cannot_make_the_link_says_nothing_of_the_pods_interface():
    unsuitable = plan(mine={"driver": "nic"})

    assert (unsuitable.reason, unsuitable.driver, unsuitable.direct) == ("DriverUnsuitable", None, False)


OWN_EACH = {"mine": {"options": {"own": 1}}, "theirs": {"options": {"own": 2}}}


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"node": "", "here": False}, "PeerNotRunning"),
        ({"node": "n2", "here": False, "place": place(Tunnel, records=lambda _: None)}, "NodeUnknown"),
        ({"place": place()}, "DriverMissing"),
    ],
)
def test_options_do_not_disagree_before_there_is_a_driver_to_say_so(given, reason):
    assert plan(**OWN_EACH, **given).reason == reason


def test_options_disagree_at_once_where_the_driver_is_named():
    ends = {"mine": {"driver": "wire", "options": {"colour": "a"}}, "theirs": {"options": {"colour": "b"}}}
    assert plan(**ends, node="", here=False).reason == "PeerMismatch"


def test_the_ends_of_a_pods_link_with_itself_may_differ_too():
    one = Link(1, "r1", "eth1", "eth2", options={"own": 1})
    other = Link(1, "r1", "eth2", "eth1", options={"own": 2})
    topology = Topology("lab", "r1", (one, other))

    assert resolve(PLACE, topology, one, topology, peer_here=True).options == WireOptions(own=1)


class Counting:
    """A catalog that counts what it is asked."""

    def __init__(self, catalog):
        self.catalog, self.asked = catalog, 0

    def __getattr__(self, name):
        self.asked += 1
        return getattr(self.catalog, name)


def asked(mine, theirs):
    counting = Counting(PLACE.catalog)
    assert plan({"options": mine}, {"options": theirs}, place=attrs.evolve(PLACE, catalog=counting)).reason == ""
    return counting.asked


def test_options_that_are_equal_or_at_this_end_alone_cost_no_second_choice():
    assert asked({}, {}) == asked({"own": 1}, {"own": 1}) == asked({"own": 1}, {}) < asked({"own": 1}, {"own": 2})
