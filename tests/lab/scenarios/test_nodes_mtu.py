"""The MTU of links between nodes: equal at both ends, as large as can be, and honest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.nodes import DRIVERS, bring_up, drivers_of, took
from tests.lab.scenarios.wiring import Cable, topologies, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

PLACE = {"r1": "n1", "r2": "n2"}
HEADERS = {"ipv4": 50, "ipv6": 70}
"""What VXLAN adds to a packet, bytes."""
SUBNETS = {"ipv4": "10.99.0.0/24", "ipv6": "fd00:99::/112"}
ICMP = 28
WIRE_MAX = 9500

IPERF = ("iperf3", "--json", "-t", "1", "-c")


def largest(driver: str, underlay_mtu: int, family: str) -> int:
    return WIRE_MAX if driver == "grpcwire" else underlay_mtu - HEADERS[family]


def fragments(lab: Lab, node: str) -> int:
    """Return how many packets a node has cut into fragments, of both families."""
    told = lab.in_box(f"ip netns exec {node} cat /proc/net/snmp /proc/net/snmp6")
    names, values = re.findall(r"^Ip: (.*)$", told, re.MULTILINE)
    four = dict(zip(names.split(), values.split(), strict=True))
    six = re.search(r"^Ip6FragCreates\s+(\d+)", told, re.MULTILINE)
    return int(four["FragCreates"]) + (int(six[1]) if six else 0)


def mtus(lab: Lab, pod: str) -> dict[str, int]:
    """Return the MTU of each of a pod's interfaces."""
    return {name: found.mtu for name, found in sorted(lab.interfaces(pod).items())}


def passes_exactly(lab: Lab, pod: str, address: str, mtu: int) -> None:
    """Hold a link to its MTU: a packet of that size passes whole, a larger one does not leave the pod."""
    ping = ["ping", "-c", "2", "-i", "0.1", "-W", "2", "-M", "do", address]
    lab.exec(pod, *ping, "-s", mtu - ICMP)
    ran = lab.run("lab", "exec", pod, "--", *ping, "-s", mtu - ICMP + 1, code=1)
    assert "too long" in ran.stdout + ran.stderr


def carries_tcp(lab: Lab, pod: str, peer: str, address: str) -> None:
    """Send TCP from a pod to its peer, as fast as it goes, for a second."""
    with lab.started("lab", "exec", peer, "--", "iperf3", "-s"):
        took(lambda: lab.run("lab", "exec", pod, "--", *IPERF, address, code=None).returncode == 0, "TCP")


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("underlay_mtu", [1500, 1600, 9000])
def test_full_size_packets_pass_whole(lab: Lab, tmp_path: Path, driver: str, family: str, underlay_mtu: int) -> None:
    limit = largest(driver, underlay_mtu, family)
    cables = [Cable(1, "r1:eth1", "r2:eth1"), Cable(2, "r1:eth2", "r2:eth2", a_only={"mtu": limit})]
    underlay = ("--underlay", family, "--underlay-mtu", underlay_mtu)
    bring_up(lab, tmp_path, cables, PLACE, driver, *underlay)
    for cable, mtu in zip(cables, (min(1500, limit), limit), strict=True):
        found = [lab.interfaces(pod)[cable.a.partition(":")[2]].mtu for pod in PLACE]
        assert found == [mtu, mtu]
        passes_exactly(lab, "r1", cable.addresses[1], mtu)
        passes_exactly(lab, "r2", cable.addresses[0], mtu)
    carries_tcp(lab, "r1", "r2", cables[1].addresses[1])
    assert [fragments(lab, node) for node in ("n1", "n2")] == [0, 0]


@pytest.mark.parametrize("driver", DRIVERS)
def test_one_that_cannot_be_names_the_maximum(lab: Lab, tmp_path: Path, driver: str) -> None:
    limit = largest(driver, 1500, "ipv4")
    cables = [Cable(1, "r1:eth1", "r2:eth1"), Cable(2, "r1:eth2", "r2:eth2")]
    bring_up(lab, tmp_path, cables, PLACE, driver)
    too_large = [cables[0], Cable(2, "r1:eth2", "r2:eth2", both={"mtu": limit + 1})]
    lab.apply(write(tmp_path / "edited.yml", topologies(too_large)))
    took(lambda: lab.end("r1:eth2").get("reason") == "MtuTooLarge", "it says so")
    for place in ("r1:eth2", "r2:eth2"):
        link = lab.end(place)
        assert link["state"] == "Failed"
        assert str(limit) in link["message"]
    assert lab.pings("r1", cables[0].addresses[1])
    lab.apply(write(tmp_path / "edited.yml", topologies(cables)))
    lab.wait("up")
    assert lab.pings("r1", cables[1].addresses[1])


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_a_path_that_is_smaller_than_the_nic(lab: Lab, tmp_path: Path, driver: str, family: str) -> None:
    """One daemon alone is told of it: both ends have what it can. The kernels know it, and have nothing to cut."""
    cable = Cable(1, "r1:eth1", "r2:eth1")
    told = ("--underlay", family, "--set", "n2:MESHNET_UNDERLAY_MTU=1400")
    bring_up(lab, tmp_path, [cable], PLACE, driver, *told)
    for node in PLACE.values():
        lab.in_box(f"ip -n {node} route add {SUBNETS[family]} dev eth0 mtu lock 1400")
    mtu = min(1500, largest(driver, 1400, family))
    assert [lab.interfaces(pod)["eth1"].mtu for pod in PLACE] == [mtu, mtu]
    passes_exactly(lab, "r1", cable.addresses[1], mtu)
    passes_exactly(lab, "r2", cable.addresses[0], mtu)
    carries_tcp(lab, "r1", "r2", cable.addresses[1])
    assert [fragments(lab, node) for node in PLACE.values()] == [0, 0]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_move_keeps_the_mtu(lab: Lab, tmp_path: Path, driver: str) -> None:
    """It is the same for every kind of link: neither end's differs while the peer moves to a node and back."""
    cables = [Cable(1, "r1:eth1", "r2:eth1"), Cable(2, "r1:eth2", "r2:eth2", b_only={"mtu": 1300})]
    wanted = {"eth1": min(1500, largest(driver, 1500, "ipv4")), "eth2": 1300}
    bring_up(lab, tmp_path, cables, PLACE, driver)
    before = lab.interfaces("r1")
    for node, by in (("n1", "veth"), ("n2", driver)):
        lab.run("lab", "restart", "r2", "--node", node)
        lab.wait("up")
        assert drivers_of(lab) == {1: by, 2: by}
        assert lab.interfaces("r1") == before
        assert [mtus(lab, pod) for pod in PLACE] == [wanted, wanted]
        for cable, mtu in zip(cables, wanted.values(), strict=True):
            passes_exactly(lab, "r1", cable.addresses[1], mtu)


def test_another_driver_keeps_the_mtu_or_changes_it_at_both_ends(lab: Lab, tmp_path: Path) -> None:
    """Of a link that names none it is what the nodes' own driver can carry, whichever driver makes this link."""
    bring_up(lab, tmp_path, [Cable(1, "r1:eth1", "r2:eth1")], PLACE, "vxlan")
    for driver, fields, mtu in (
        ("grpcwire", {}, 1450),
        ("grpcwire", {"mtu": 9000}, 9000),
        ("vxlan", {"mtu": 1400}, 1400),
        ("vxlan", {}, 1450),
    ):
        cable = Cable(1, "r1:eth1", "r2:eth1", both={"driver": driver, **fields})
        lab.apply(write(tmp_path / "edited.yml", topologies([cable])))
        lab.wait("up")
        assert drivers_of(lab) == {1: driver}
        assert [mtus(lab, pod) for pod in PLACE] == [{"eth1": mtu}] * 2
        passes_exactly(lab, "r1", cable.addresses[1], mtu)


@pytest.mark.parametrize("driver", DRIVERS)
def test_less_than_ipv6_needs(lab: Lab, tmp_path: Path, driver: str) -> None:
    """Such a port has no IPv6 that could be silenced; it gets it when the link becomes larger."""
    cables = [Cable(1, "r1:eth1", "r2:eth1", both={"mtu": 1000}), Cable(2, "r1:eth2", "r3:eth1", both={"mtu": 600})]
    bring_up(lab, tmp_path, cables, {"r1": "n1", "r3": "n1", "r2": "n2"}, driver)
    passes_exactly(lab, "r1", cables[0].addresses[1], 1000)
    passes_exactly(lab, "r1", cables[1].addresses[1], 600)
    larger = [Cable(1, "r1:eth1", "r2:eth1", both={"mtu": 1400}), Cable(2, "r1:eth2", "r3:eth1", both={"mtu": 1500})]
    lab.apply(write(tmp_path / "edited.yml", topologies(larger)))
    took(lambda: lab.interfaces("r3")["eth1"].mtu == 1500 and lab.interfaces("r2")["eth1"].mtu == 1400, "larger")
    lab.wait("up")
    passes_exactly(lab, "r1", cables[0].addresses[1], 1400)
    modes = lab.in_box("ip -n n1 -d -o link | grep ' mn' | grep -o 'addrgenmode [a-z0-9]*'").split("\n")
    assert set(filter(None, modes)) == {"addrgenmode none"}
