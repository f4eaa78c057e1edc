import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshnet.cni.result import Address, Interface, compose_result
from meshnet.cni.versions import SUPPORTED, at_least

OURS = [Interface("eth1", "02:00:00:00:00:01", "/run/netns/c1", 1400), Interface("eth2")]
ADDRESSES = [Address("eth1", "10.0.0.1/24"), Address("eth1", "fd00::1/64"), Address("eth2", "10.0.1.1/24")]
WITH_INTERFACES = [version for version in SUPPORTED if at_least(version, "0.3.0")]


def previous(version):
    return {
        "cniVersion": version,
        "interfaces": [{"name": "cni0"}, {"name": "eth0", "sandbox": "/run/netns/c1"}],
        "ips": [{"address": "10.244.0.5/24", "interface": 1, "gateway": "10.244.0.1"}],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dns": {},
        "unknown": {"kept": True},
    }


@pytest.mark.parametrize("version", WITH_INTERFACES)
def test_interfaces_are_added_behind_what_was_there(version):
    before = previous(version)
    result = compose_result(version, before, OURS, ADDRESSES)
    assert result["interfaces"][:2] == before["interfaces"]
    assert [entry["name"] for entry in result["interfaces"][2:]] == ["eth1", "eth2"]
    assert {key: result[key] for key in before if key != "interfaces"} == {
        key: before[key] for key in before if key != "interfaces"
    }


@pytest.mark.parametrize("version", SUPPORTED)
def test_the_mtu_is_told_from_1_1_0_on(version):
    told = compose_result(version, None, OURS).get("interfaces", [{}])[0].get("mtu")
    assert told == (1400 if version == "1.1.0" else None)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_old_results_pass_unchanged(version):
    before = {"cniVersion": version, "ip4": {"ip": "10.244.0.5/24"}, "dns": {}}
    assert compose_result(version, before, OURS, ADDRESSES, result_addresses=True) == before


@pytest.mark.parametrize("version", WITH_INTERFACES)
def test_addresses_only_on_demand_and_in_the_versions_own_form(version):
    result = compose_result(version, previous(version), OURS, ADDRESSES, result_addresses=True)
    ours = result["ips"][1:]
    assert [(entry["address"], entry["interface"]) for entry in ours] == [
        ("10.0.0.1/24", 2),
        ("fd00::1/64", 2),
        ("10.0.1.1/24", 3),
    ]
    old = not at_least(version, "1.0.0")
    assert [entry.get("version") for entry in ours] == (["4", "6", "4"] if old else [None] * 3)
    assert compose_result(version, previous(version), OURS, ADDRESSES)["ips"] == previous(version)["ips"]


@pytest.mark.parametrize(
    ("version", "result"),
    [
        ("0.1.0", {"cniVersion": "0.1.0"}),
        ("0.2.0", {"cniVersion": "0.2.0"}),
        ("0.3.1", {"cniVersion": "0.3.1", "interfaces": [{"name": "eth2"}]}),
        ("1.1.0", {"cniVersion": "1.1.0", "interfaces": [{"name": "eth2"}]}),
    ],
)
def test_alone_the_result_is_minimal(version, result):
    assert compose_result(version, None, [Interface("eth2")], ADDRESSES) == result


def test_alone_and_old_there_is_room_for_one_address_of_each_kind():
    result = compose_result("0.2.0", None, OURS, ADDRESSES, result_addresses=True)
    assert result == {"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.1/24"}, "ip6": {"ip": "fd00::1/64"}}


@pytest.mark.parametrize("version", SUPPORTED)
def test_a_pod_without_links_passes_its_result(version):
    before = previous(version)
    assert compose_result(version, before, []) == before
    assert compose_result(version, None, []) == {"cniVersion": version}


def test_the_previous_result_keeps_its_own_version():
    result = compose_result("1.1.0", previous("0.4.0"), OURS, ADDRESSES, result_addresses=True)
    assert result["cniVersion"] == "0.4.0"
    assert result["ips"][1]["version"] == "4"
    assert "mtu" not in result["interfaces"][2]


def test_without_a_version_of_its_own_it_has_the_configurations():
    assert compose_result("1.0.0", {"interfaces": None, "ips": None}, OURS)["cniVersion"] == "1.0.0"


interfaces = st.lists(
    st.builds(Interface, st.sampled_from(["eth0", "eth1", "eth2"]), st.just(""), st.sampled_from(["", "/n"])),
    max_size=3,
    unique_by=lambda interface: interface.name,
)
addresses = st.lists(st.builds(Address, st.sampled_from(["eth0", "eth1"]), st.just("10.0.0.1/24")), max_size=3)


@given(st.sampled_from(SUPPORTED), st.booleans(), interfaces, addresses, st.booleans())
def test_a_second_time_changes_nothing_and_no_argument_changes(version, alone, ours, theirs, told):
    before = None if alone else previous(version)
    untouched = copy.deepcopy(before)
    result = compose_result(version, before, ours, theirs, told)
    assert before == untouched
    assert compose_result(version, before, ours, theirs, told) == result
    assert compose_result(version, result, ours, theirs, told) == result
    json.dumps(result, allow_nan=False)
