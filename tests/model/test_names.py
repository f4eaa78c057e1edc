import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.model import rules
from meshnet.model.names import MAX_ALIAS, Mark, of_one_sandbox, parse_mark, pod_mac, port_mac, port_name
from meshnet.model.topology import Endpoint
from tests.model import strategies

CONTAINER_IDS = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}", fullmatch=True)
LONG_LABELS = st.from_regex(r"[a-z0-9]{50,63}", fullmatch=True)
LONG_PODS = st.lists(LONG_LABELS, min_size=1, max_size=3).map(".".join)
ENDPOINTS = st.builds(
    Endpoint, strategies.LABELS | LONG_LABELS, strategies.POD_NAMES | LONG_PODS, strategies.INTERFACES
)
MARKS = st.builds(Mark.of, ENDPOINTS, strategies.UIDS, CONTAINER_IDS)


@given(CONTAINER_IDS, strategies.INTERFACES)
def test_a_port_has_a_name_that_the_kernel_takes(container_id, interface):
    name = port_name(container_id, interface)

    assert re.fullmatch(r"mn[0-9a-f]{12}", name)
    assert rules.interface_name(name) == name
    assert port_name(container_id, interface) == name


@given(st.lists(st.tuples(CONTAINER_IDS, strategies.INTERFACES), unique=True, min_size=2, max_size=20))
def test_ports_have_names_and_macs_of_their_own(ports):
    assert len({port_name(*port) for port in ports}) == len(ports)
    assert len({port_mac(*port) for port in ports}) == len(ports)


def test_the_border_between_parts_counts():
    assert port_name("ab", "c") != port_name("a", "bc")
    assert pod_mac("a", "b", "c") != pod_mac("ab", "", "c")


def test_names_are_the_same_in_every_release():
    """A restarted, newer daemon must find what an older one made."""
    assert port_name("0123abcd", "eth1") == "mnecebfaa85ffa"
    assert port_mac("0123abcd", "eth1") == "c6:a5:4d:b9:44:b0"
    assert pod_mac("default", "r1", "eth1") == "82:81:69:aa:ae:01"
    assert Mark("default", "r1", "eth1", 7, "0123abcd").alias == "meshnet:1 default/r1 eth1 7 0123abcd"


@given(ENDPOINTS, CONTAINER_IDS)
def test_macs_are_local_and_unicast_and_a_port_never_has_its_pods(endpoint, container_id):
    mine, ports = (
        pod_mac(endpoint.namespace, endpoint.pod, endpoint.interface),
        port_mac(container_id, endpoint.interface),
    )

    for mac in (mine, ports):
        assert rules.mac(mac) == mac
        assert int(mac[:2], 16) & 3 == 2
    assert mine != ports


@pytest.mark.timeout(240)  # it draws many names, which takes long on a busy machine
@given(st.lists(ENDPOINTS, unique=True, min_size=2, max_size=20))
def test_pods_interfaces_have_macs_of_their_own(endpoints):
    assert len({pod_mac(end.namespace, end.pod, end.interface) for end in endpoints}) == len(endpoints)


@given(MARKS, ENDPOINTS, CONTAINER_IDS)
def test_an_alias_tells_whose_a_device_is(mark, other, other_id):
    read = parse_mark(mark.alias)

    assert len(mark.alias.encode()) <= MAX_ALIAS
    assert read is not None
    assert (read.namespace, read.interface, read.uid) == (mark.namespace, mark.interface, mark.uid)
    own = Endpoint(mark.namespace, mark.pod, mark.interface)
    assert read.is_of(own)
    assert mark.is_of(own)
    assert read.is_in(mark.container_id)
    assert read.is_of(other) == (own == other)
    assert read.is_in(other_id) == (mark.container_id == other_id)
    assert read.alias == mark.alias


def test_only_what_does_not_fit_is_cut():
    pod = "p" * 253
    short = Mark("default", "r1", "eth1", 7, "c" * 64)
    assert parse_mark(short.alias) == short
    long = parse_mark(Mark("n" * 63, pod, "i" * 15, 2**63 - 1, "c" * 64).alias)
    assert long is not None
    assert long.pod.startswith("p" * 55 + "~")
    assert long.container_id == "c" * 64
    assert long.is_of(Endpoint("n" * 63, pod, "i" * 15))
    assert not long.is_of(Endpoint("n" * 63, "p" * 252, "i" * 15))


def test_the_longest_of_everything_fits():
    mark = Mark("n" * 63, "p" * 253, "i" * 15, 2**63 - 1, "c" * 300)

    assert len(mark.alias) == MAX_ALIAS


@pytest.mark.parametrize(
    "alias",
    [
        "",
        "eth1",
        "meshnet",
        "meshnet:1",
        "meshnet:1 default/r1 eth1 7",
        "meshnet:1 default/r1 eth1 7 c ",
        "meshnet:1 default/r1 eth1 7 c d",
        "meshnet:1 default/r1 eth1 -7 c",
        "meshnet:1 default/r1 eth1 07 c",
        "meshnet:1 default/r1 eth1 \u0667 c",
        "meshnet:1 r1 eth1 7 c",
        "meshnet:1 a/b/c eth1 7 c",
        "meshnet:2 default/r1 eth1 7 c",
        "xmeshnet:1 default/r1 eth1 7 c",
        "meshnet:1 default/r1 eth1 7 c\n",
    ],
)
def test_a_strangers_alias_is_nobodys(alias):
    assert parse_mark(alias) is None


@given(st.text() | st.text().map("meshnet:1 ".__add__))
def test_any_alias_can_be_asked(alias):
    mark = parse_mark(alias)

    assert mark is None or parse_mark(mark.alias) is not None


def test_one_sandbox_is_known_though_its_name_is_cut_in_one_mark():
    pod, container = "p" * 135, "c" * 100
    short, long = (Mark.of(Endpoint("d", pod, "eth1"), uid, container).alias for uid in (1, 10))
    assert ("~" in short, "~" in long) == (False, True)

    assert of_one_sandbox(short, long)
    assert of_one_sandbox(long, short)
    assert not of_one_sandbox(short, Mark.of(Endpoint("d", pod, "eth1"), 1, "another").alias)
    assert not of_one_sandbox(short, "theirs")
