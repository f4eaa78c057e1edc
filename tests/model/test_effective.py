import attrs
import pytest

from meshnet.errors import LinkError
from meshnet.model.effective import EffectiveLink, addresses, effective, wanted_mtu
from meshnet.model.topology import Endpoint, Link, Topology

A, B = Endpoint("lab", "r1", "eth1"), Endpoint("lab", "r2", "eth2")


def pair(mine=None, theirs=None):
    """Two Topologies with a link between them; what each end says of it beside that."""
    here = Link(7, "r2", "eth1", "eth2", **(mine or {}))
    there = attrs.evolve(Link(7, "r1", "eth2", "eth1"), **(theirs or {}))
    return Topology("lab", "r1", (here,)), here, Topology("lab", "r2", (Link(9, "r3", "eth1", "eth1"), there))


def refused(topology, link, peer_topology, *args, **kwargs):
    with pytest.raises(LinkError) as caught:
        effective(topology, link, peer_topology, *args, **kwargs)
    return caught.value


def test_two_plain_entries():
    assert effective(*pair()) == EffectiveLink(A, B)


def test_the_same_from_the_other_end():
    topology, _, other = pair({"driver": "x", "mtu": 1400}, {"down": True, "options": {"a": 1}})
    back = other.link("eth2")

    assert effective(other, back, topology) == EffectiveLink(B, A, "x", 1400, {"a": 1}, True)


@pytest.mark.parametrize(
    ("mine", "theirs", "merged"),
    [
        ({"driver": "vxlan"}, {}, {"driver": "vxlan"}),
        ({}, {"driver": "vxlan"}, {"driver": "vxlan"}),
        ({"driver": "vxlan"}, {"driver": "vxlan"}, {"driver": "vxlan"}),
        ({"mtu": 9000}, {}, {"mtu": 9000}),
        ({}, {"mtu": 9000}, {"mtu": 9000}),
        ({"mtu": 9000}, {"mtu": 9000}, {"mtu": 9000}),
        ({"down": True}, {}, {"down": True}),
        ({}, {"down": True}, {"down": True}),
        ({"options": {"a": 1}}, {"options": {"b": 2}}, {"options": {"a": 1, "b": 2}}),
        (
            {"options": {"a": [1, {"x": True}]}},
            {"options": {"a": [1.0, {"x": True}]}},
            {"options": {"a": [1, {"x": True}]}},
        ),
        ({"options": {"own": 1}}, {"options": {"own": 2}}, {"options": {"own": 1}}),
        ({}, {"options": {"own": 2}}, {}),
    ],
)
def test_what_one_end_gives_binds_both(mine, theirs, merged):
    assert effective(*pair(mine, theirs), frozenset({"own"})) == EffectiveLink(A, B, **merged)


@pytest.mark.parametrize(
    ("mine", "theirs", "message"),
    [
        ({}, {"uid": 8}, "uid is 7 at lab/r1:eth1 and 8 at lab/r2:eth2"),
        ({"driver": "a"}, {"driver": "b"}, "driver is a at lab/r1:eth1 and b at lab/r2:eth2"),
        ({"mtu": 1400}, {"mtu": 1500}, "mtu is 1400 at lab/r1:eth1 and 1500 at lab/r2:eth2"),
        (
            {"options": {"a": 1, "b": 1}},
            {"options": {"a": True, "b": 1}},
            "options.a is 1 at lab/r1:eth1 and true at lab/r2:eth2",
        ),
        (
            {"options": {"a": [1]}},
            {"options": {"a": [1, 2]}},
            "options.a is [1] at lab/r1:eth1 and [1, 2] at lab/r2:eth2",
        ),
        ({"options": {"a": None}}, {"options": {"a": {}}}, "options.a is null at lab/r1:eth1 and {} at lab/r2:eth2"),
        ({}, {"peer_pod": "r9"}, "the peer of lab/r2:eth2 is r9:eth1, not r1:eth1"),
        ({}, {"peer_intf": "eth9"}, "the peer of lab/r2:eth2 is r1:eth9, not r1:eth1"),
        ({}, {"peer_pod": "localhost"}, "the peer of lab/r2:eth2 is localhost:eth1, not r1:eth1"),
        (
            {"mtu": 1000},
            {"addresses": ("10.0.0.2/24", "2001:db8::2/64")},
            "mtu is 1000 at lab/r1:eth1, less than the 1280 that 2001:db8::2/64 at lab/r2:eth2 needs",
        ),
        (
            {"addresses": ("2001:db8::1/64",)},
            {"mtu": 1000},
            "mtu is 1000 at lab/r2:eth2, less than the 1280 that 2001:db8::1/64 at lab/r1:eth1 needs",
        ),
        (
            {"mtu": 1000},
            {"addresses": ("10.0.0.2/24",), "peer_ip": "2001:db8::1/64"},
            "mtu is 1000 at lab/r1:eth1, less than the 1280 that 2001:db8::1/64 at lab/r1:eth1 needs",
        ),
        (
            {"peer_ip": "2001:db8::2/64"},
            {"mtu": 1000},
            "mtu is 1000 at lab/r2:eth2, less than the 1280 that 2001:db8::2/64 at lab/r2:eth2 needs",
        ),
        (
            {"driver": "a", "mtu": 1400},
            {"uid": 8, "driver": "b", "mtu": 1500},
            (
                "uid is 7 at lab/r1:eth1 and 8 at lab/r2:eth2; driver is a at lab/r1:eth1 and b at lab/r2:eth2;"
                " mtu is 1400 at lab/r1:eth1 and 1500 at lab/r2:eth2"
            ),
        ),
    ],
)
def test_what_the_ends_say_differently_is_a_mismatch(mine, theirs, message):
    error = refused(*pair(mine, theirs))

    assert (error.reason, str(error), error.retry) == ("PeerMismatch", message, False)


def test_an_address_that_the_peer_has_for_an_end_with_its_own_is_none():
    topology, link, other = pair({"mtu": 1000, "addresses": ("10.0.0.1/24",)}, {"peer_ip": "2001:db8::1/64"})

    assert effective(topology, link, other).mtu == 1000


def test_two_names_of_one_driver_agree():
    names = {"VXLAN": "vxlan", "vxlan": "vxlan", "GRPC": "grpcwire"}
    topology, link, other = pair({"driver": "VXLAN"}, {"driver": "vxlan"})

    assert effective(topology, link, other, canonical=names.__getitem__).driver == "VXLAN"
    assert refused(topology, link, other).reason == "PeerMismatch"


def test_a_missing_peer_is_named():
    topology, link, other = pair()

    absent = refused(topology, link, None)
    assert (absent.reason, str(absent), absent.retry) == ("PeerMissing", "there is no Topology lab/r2", False)
    without = refused(topology, link, attrs.evolve(other, links=other.links[:1]))
    assert (without.reason, str(without)) == ("PeerMissing", "Topology lab/r2 has no link with local_intf eth2")


@pytest.mark.parametrize("peer_topology", [None, Topology("lab", "localhost")])
def test_an_external_link_needs_no_peer(peer_topology):
    link = Link(7, "localhost", "eth1", "eth0", driver="macvlan", mtu=1400, options={"mode": "vepa"}, down=True)
    topology = Topology("lab", "r1", (link,))

    assert effective(topology, link, peer_topology) == EffectiveLink(A, None, "macvlan", 1400, {"mode": "vepa"}, True)


@pytest.mark.parametrize("given", [True, False])
def test_a_link_of_a_pod_with_itself_has_both_ends_in_one_topology(given):
    first, second = Link(7, "r1", "eth1", "eth2", mtu=1400), Link(7, "r1", "eth2", "eth1", driver="veth")
    topology = Topology("lab", "r1", (first, second))

    result = effective(topology, first, topology if given else None)

    assert result == EffectiveLink(A, Endpoint("lab", "r1", "eth2"), "veth", 1400)
    alone = Topology("lab", "r1", (first,))
    assert refused(alone, first, alone).reason == "PeerMissing"


def test_parallel_links_and_a_reused_uid_are_links_of_their_own():
    topology = Topology("lab", "r1", (Link(1, "r2", "eth1", "eth1"), Link(1, "r2", "eth2", "eth2")))
    other = Topology("lab", "r2", (Link(1, "r1", "eth1", "eth1"), Link(1, "r1", "eth2", "eth2")))

    assert [effective(topology, link, other).peer for link in topology.links] == [
        Endpoint("lab", "r2", "eth1"),
        Endpoint("lab", "r2", "eth2"),
    ]


@pytest.mark.parametrize(
    ("mine", "theirs", "own"),
    [
        ({"addresses": ("10.0.0.1/24",)}, {"peer_ip": "10.0.0.9/24"}, ("10.0.0.1/24",)),
        ({}, {"peer_ip": "10.0.0.9/24"}, ("10.0.0.9/24",)),
        ({"peer_ip": "10.0.0.2/24"}, {}, ()),
        ({}, {"peer_ip": "10.0.0.9/24", "uid": 8}, ()),
        ({}, {"peer_ip": "10.0.0.9/24", "peer_pod": "r9"}, ()),
    ],
)
def test_addresses_are_ones_own_or_what_the_peer_says(mine, theirs, own):
    assert addresses(*pair(mine, theirs)) == own


def test_addresses_before_the_peer_is_known():
    topology, link, _ = pair({"addresses": ("10.0.0.1/24",), "peer_ip": "10.0.0.2/24"})

    assert addresses(topology, link, None) == ("10.0.0.1/24",)
    external = Link(1, "localhost", "eth1", "eth0", addresses=("10.0.0.1/24",))
    assert addresses(Topology("lab", "r1", (external,)), external, None) == ("10.0.0.1/24",)


@pytest.mark.parametrize(
    ("mine", "theirs", "mtu"),
    [({}, {}, None), ({"mtu": 1400}, {}, 1400), ({}, {"mtu": 1400}, 1400), ({}, {"mtu": 1400, "uid": 8}, None)],
)
def test_the_mtu_that_is_wanted(mine, theirs, mtu):
    topology, link, other = pair(mine, theirs)

    assert wanted_mtu(topology, link, other) == mtu
    assert wanted_mtu(topology, link, None) == mine.get("mtu")


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"addresses": ("2001:db8::1/64",)}, {"mtu": 1000}),
        ({"mtu": 1000}, {"peer_ip": "2001:db8::1/64"}),
    ],
)
def test_an_mtu_that_would_take_an_address_away_is_not_wanted(mine, theirs):
    """The two ends are none while they say this; the address would not come back when that is put right."""
    assert wanted_mtu(*pair(mine, theirs)) is None
