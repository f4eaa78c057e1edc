import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshnet.errors import InvalidObject
from meshnet.model import codec
from meshnet.model.codec import decode_claim, decode_topology
from meshnet.model.entry import LINK_FIELDS
from meshnet.model.topology import MAX_EPOCH, Claim, Endpoint, Link, Topology
from tests.model import strategies
from tests.model.encoding import encode_topology


def topology_document(*links, name="r1", **fields):
    return {
        "apiVersion": "networkop.co.uk/v1beta1",
        "kind": "Topology",
        "metadata": {"name": name, "namespace": "lab"},
        "spec": {"links": list(links)},
        **fields,
    }


def link_entry(**fields):
    return {"uid": 1, "peer_pod": "r2", "local_intf": "eth1", "peer_intf": "eth2", **fields}


def decoded_or_error(value):
    """The two things that decoding may come to; anything else fails the test."""
    try:
        return decode_topology(value)
    except InvalidObject as error:
        return error


def problems(document):
    """Path and shown value of everything that is wrong."""
    with pytest.raises(InvalidObject) as caught:
        decode_topology(document)
    return {problem.path: str(problem) for problem in caught.value.problems}


def test_every_field():
    document = topology_document(
        link_entry(
            local_ip="10.0.0.1/24",
            peer_ip="10.0.0.2/24",
            local_ips=["2001:DB8::1/64", "10.0.0.1/24", "10.1.0.1/24"],
            local_mac="02:00:00:00:00:0A",
            driver="VXLAN",
            mtu=1400,
            options={"ttl": 3},
            down=True,
        ),
        status={"node": "n1", "container_id": "c", "epoch": 3, "pod_uid": "u", "src_ip": "10.0.0.9", "skipped": None},
    )
    document["metadata"] |= {"uid": "u-1", "generation": 7, "resourceVersion": "42"}

    topology = decode_topology(document)

    link = Link(
        uid=1,
        peer_pod="r2",
        local_intf="eth1",
        peer_intf="eth2",
        addresses=("10.0.0.1/24", "2001:db8::1/64", "10.1.0.1/24"),
        peer_ip="10.0.0.2/24",
        local_mac="02:00:00:00:00:0a",
        driver="VXLAN",
        mtu=1400,
        options={"ttl": 3},
        down=True,
    )
    assert topology == Topology("lab", "r1", (link,), Claim("n1", "c", 3, "u"), "u-1")
    assert topology.endpoint(link) == Endpoint("lab", "r1", "eth1")


def test_what_knes_client_writes():
    """It has no `omitempty`: empty strings and nulls stand for what is not there."""
    document = topology_document(
        link_entry(uid=0, local_ip="", peer_ip=""),
        status={"skipped": None, "src_ip": "", "net_ns": "", "container_id": ""},
    )

    assert decode_topology(document).links == (Link(0, "r2", "eth1", "eth2"),)


REQUIRED = ("uid", "peer_pod", "local_intf", "peer_intf")


@pytest.mark.parametrize(
    ("absent", "fields"), [(None, LINK_FIELDS), ("", ("local_ip", "peer_ip", "local_mac", "driver", *REQUIRED))]
)
def test_null_and_empty_text_count_as_absent(absent, fields):
    optional = [name for name in fields if name not in REQUIRED]
    assert decode_topology(topology_document(link_entry(**dict.fromkeys(optional, absent)))).links == (
        Link(1, "r2", "eth1", "eth2"),
    )
    assert set(problems(topology_document(link_entry(**dict.fromkeys(fields, absent))))) == {
        f"spec.links[0].{name}" for name in REQUIRED
    }


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ({"mtu": True}, "mtu: true: "),
        ({"local_ips": {"a": [False, None, "x"]}}, "local_ips: {'a': [false, null, 'x']}: "),
        ({"local_intf": "True "}, "local_intf: 'True ': "),
    ],
)
def test_what_is_wrong_is_shown_as_it_is_written_in_yaml(entry, shown):
    (told,) = problems(topology_document(link_entry(**entry))).values()

    assert told.startswith(f"spec.links[0].{shown}")


def test_empty_text_is_no_number_list_map_or_flag():
    fields = ("uid", "local_ips", "mtu", "options", "down")

    assert set(problems(topology_document(link_entry(**dict.fromkeys(fields, ""))))) == {
        f"spec.links[0].{name}" for name in fields
    }


def test_there_are_bounds_for_links_and_addresses():
    many = [link_entry(local_intf=f"e{number}") for number in range(4097)]
    assert len(decode_topology(topology_document(*many[:4096])).links) == 4096
    assert problems(topology_document(*many)).keys() == {"spec.links"}

    addresses = [f"10.0.0.{number}/24" for number in range(1, 18)]
    assert len(decode_topology(topology_document(link_entry(local_ips=addresses[:16]))).links[0].addresses) == 16
    assert "at most 16" in problems(topology_document(link_entry(local_ips=addresses)))["spec.links[0].local_ips"]


@pytest.mark.parametrize("spec", [None, {}, {"links": None}, {"links": []}, {"links": [], "other": 1}])
def test_no_links_in_every_form(spec):
    assert decode_topology(topology_document(name="r1") | {"spec": spec}).links == ()
    without = topology_document()
    del without["spec"]
    assert decode_topology(without).links == ()


def test_namespace_type_and_version_may_be_absent():
    topology = decode_topology({"metadata": {"name": "r1", "namespace": ""}})

    assert topology == Topology("default", "r1")


def test_unknown_fields_mean_nothing():
    document = topology_document(link_entry(impairment={"delay": "1ms"}), extra=1)
    document["spec"]["future"] = True
    before = json.dumps(document)

    assert decode_topology(document).links == (Link(1, "r2", "eth1", "eth2"),)
    assert json.dumps(document) == before


def test_the_second_of_two_links_on_one_interface_is_refused():
    links = [link_entry(), link_entry(uid=2, local_intf="eth3"), link_entry(uid=3, peer_pod="r3")]

    assert problems(topology_document(*links)) == {
        "spec.links[2].local_intf": "spec.links[2].local_intf: 'eth1': must be an interface of its own;"
        " spec.links[0] has this one"
    }


def test_a_double_interface_is_found_beside_other_mistakes():
    assert set(problems(topology_document(link_entry(uid="x"), link_entry(mtu=1)))) == {
        "spec.links[0].uid",
        "spec.links[1].mtu",
        "spec.links[1].local_intf",
    }


@pytest.mark.parametrize(
    ("fields", "path", "right"),
    [
        ({"local_intf": "eth0"}, "local_intf", "primary"),
        ({"local_intf": "lo"}, "local_intf", "loopback"),
        ({"peer_intf": "all"}, "peer_intf", "are every interface"),
        ({"local_intf": "a/b"}, "local_intf", "interface name"),
        ({"peer_intf": "eth0"}, "peer_intf", "primary"),
        ({"peer_intf": 1}, "peer_intf", "string"),
        ({"peer_pod": "R2"}, "peer_pod", "pod name"),
        ({"peer_pod": "r1", "peer_intf": "eth1"}, "peer_intf", "two ends"),
        ({"uid": "1"}, "uid", "whole number"),
        ({"uid": True}, "uid", "whole number"),
        ({"uid": 1.5}, "uid", "whole number"),
        ({"local_ip": "10.0.0.1"}, "local_ip", "prefix length"),
        ({"local_ip": ["10.0.0.1/24"]}, "local_ip", "prefix length"),
        ({"peer_ip": "x"}, "peer_ip", "prefix length"),
        ({"local_ips": "10.0.0.1/24"}, "local_ips", "must be a list"),
        ({"local_ips": {"a": 1}}, "local_ips", "must be a list"),
        ({"local_ips": ["10.0.0.1/24", ""]}, "local_ips[1]", "prefix length"),
        ({"local_mac": "01:00:00:00:00:00"}, "local_mac", "one station"),
        ({"driver": "a b"}, "driver", "link driver"),
        ({"mtu": 9}, "mtu", "68"),
        ({"mtu": 1000, "local_ips": ["2001:db8::1/64"]}, "mtu", "1280"),
        ({"mtu": 1000, "peer_ip": "2001:db8::1/64"}, "mtu", "1280"),
        ({"options": []}, "options", "map"),
        ({"down": "yes"}, "down", "true or false"),
        ({"down": 0}, "down", "true or false"),
    ],
)
def test_one_wrong_field_is_one_problem(fields, path, right):
    found = problems(topology_document(link_entry(**fields)))

    assert list(found) == [f"spec.links[0].{path}"]
    assert right in found[f"spec.links[0].{path}"]


def test_all_elements_of_a_list_are_judged():
    found = problems(topology_document(link_entry(local_ips=["x", "10.0.0.1/24", 3])))

    assert list(found) == ["spec.links[0].local_ips[0]", "spec.links[0].local_ips[2]"]


def test_a_node_interface_may_be_eth0_and_a_self_link_has_two_interfaces():
    external = link_entry(peer_pod="localhost", peer_intf="eth0")
    loop = link_entry(peer_pod="r1", local_intf="eth2", peer_intf="eth3")

    first, second = decode_topology(topology_document(external, loop)).links

    assert first.external
    assert second == Link(1, "r1", "eth2", "eth3")


def test_a_pod_named_localhost_has_external_links_as_any_other():
    external = link_entry(peer_pod="localhost", local_intf="eth1", peer_intf="eth1")

    assert decode_topology(topology_document(external, name="localhost")).links[0].external


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"metadata": None}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {}}, "metadata.name"),
        ({"metadata": {"name": 1}}, "metadata.name"),
        ({"metadata": {"name": "r1", "namespace": "A"}}, "metadata.namespace"),
        ({"metadata": {"name": "r1", "namespace": []}}, "metadata.namespace"),
        ({"metadata": {"name": "r1"}, "kind": "Pod"}, "kind"),
        ({"metadata": {"name": "r1"}, "apiVersion": "networkop.co.uk/v2"}, "apiVersion"),
        ({"metadata": {"name": "r1"}, "spec": []}, "spec"),
        ({"metadata": {"name": "r1"}, "spec": {"links": {}}}, "spec.links"),
        ({"metadata": {"name": "r1"}, "spec": {"links": ""}}, "spec.links"),
        ({"metadata": {"name": "r1"}, "spec": {"links": [1]}}, "spec.links[0]"),
        ({"metadata": {"name": "r1"}, "spec": {"links": [None]}}, "spec.links[0]"),
    ],
)
def test_a_wrong_type_is_one_problem(document, path):
    assert list(problems(document)) == [path]


def test_the_error_names_the_object_and_shows_values_in_bounds():
    with pytest.raises(InvalidObject) as caught:
        decode_topology(topology_document(link_entry(uid="x" * 100_000), name="r1"))

    assert caught.value.object == "Topology lab/r1"
    assert len(str(caught.value)) < 1000


def test_the_error_tells_of_the_first_of_many_problems_and_how_many_more_there_are():
    """It stands in the status, which a store refuses when it is too long."""
    with pytest.raises(InvalidObject) as caught:
        decode_topology(topology_document(*(link_entry(local_intf=f"e{number}", mtu=1) for number in range(4096))))

    assert len(caught.value.problems) == 4096
    assert "; spec.links[19].mtu: 1: must be a whole number from 68 to 65535; and 4076 more" in str(caught.value)
    assert "links[20]" not in str(caught.value)


@pytest.mark.parametrize(
    "status",
    [
        None,
        [],
        "x",
        {},
        {"node": 1, "container_id": None, "epoch": "3", "pod_uid": []},
        {"epoch": True},
        {"epoch": -1},
        {"epoch": MAX_EPOCH + 1},
        {"epoch": 2**63 - 1},
    ],
)
def test_a_broken_status_is_no_claim(status):
    assert decode_claim(status) == Claim()
    assert decode_topology(topology_document(status=status)).claim == Claim()


@given(strategies.topologies())
def test_round_trip(topology):
    document = json.loads(json.dumps(encode_topology(topology)))

    assert decode_topology(document) == topology


@given(strategies.json_values())
def test_any_value_is_a_topology_or_invalid(value):
    decoded = decoded_or_error(value)

    assert isinstance(decoded, Topology) or (decoded.problems and str(decoded))


@given(strategies.nearly_topologies())
@example({"metadata": {"name": "r1"}, "spec": {"links": [{"local_intf": []}]}})
def test_anything_like_a_topology_is_one_or_invalid(value):
    """Every path leads to what it is about: the value there, or where it is missing its parent."""
    decoded = decoded_or_error(value)

    if isinstance(decoded, Topology):
        assert decode_topology(encode_topology(decoded)) == decoded
    else:
        assert decoded.problems
        for problem in decoded.problems:
            strategies.follow(value, problem.path)


def test_very_deep_values_are_no_danger():
    deep = leaf = []
    for _ in range(100_000):
        leaf.append([])
        leaf = leaf[0]
    for document in (deep, topology_document(deep), topology_document(link_entry(options={"a": deep}, uid=deep))):
        with pytest.raises(InvalidObject):
            decode_topology(document)
    while deep:  # taken apart by hand: freeing it at once recurses
        deep = deep.pop()


@given(st.text())
def test_a_name_of_any_text(name):
    decoded = decoded_or_error(topology_document(name=name))

    if isinstance(decoded, Topology):
        assert decoded.name == name
    else:
        assert [problem.path for problem in decoded.problems] == ["metadata.name"]


def test_all_upstream_fields_are_known():
    assert set(LINK_FIELDS) >= {"uid", "peer_pod", "local_intf", "peer_intf", "local_ip", "peer_ip"}
    assert codec.title({"metadata": 3, "kind": 1}) == "Topology default/?"
