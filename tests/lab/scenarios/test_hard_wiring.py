"""Wiring that broke others: uids used twice, namespaces alike, self-links, impossible links, foreign interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.lab import Lab, eventually
from tests.lab.scenarios.watching import capturing
from tests.lab.scenarios.wiring import Cable, network, pod, topologies, topology, write

if TYPE_CHECKING:
    from pathlib import Path


def test_a_uid_of_another_pair_is_another_link(lab: Lab, tmp_path: Path) -> None:
    """meshnet-cni#45: every link of this chain has uid 1."""
    cables = [
        Cable(1, "r1:eth1", "r2:eth1", a_only=ip("10.1.0.1"), b_only=ip("10.1.0.2")),
        Cable(1, "r2:eth2", "r3:eth1", a_only=ip("10.2.0.1"), b_only=ip("10.2.0.2")),
        Cable(1, "r3:eth2", "r1:eth2", a_only=ip("10.3.0.1"), b_only=ip("10.3.0.2")),
    ]
    lab.up(write(tmp_path / "lab.yml", network(cables)))
    assert len(lab.get("links")) == 3
    assert lab.pings("r1", "10.1.0.2")
    assert lab.pings("r2", "10.2.0.2")
    assert lab.pings("r3", "10.3.0.2")
    lab.run("link", "down", "r2:eth2")
    lab.wait("down", "r3:eth1")
    assert not lab.carrier("r2:eth2")
    assert [lab.carrier(place) for place in ("r1:eth1", "r2:eth1", "r3:eth2", "r1:eth2")] == [True] * 4


def ip(address: str) -> dict[str, str]:
    return {"local_ip": f"{address}/24"}


def test_two_namespaces_alike_never_hear_each_other(lab: Lab, tmp_path: Path) -> None:
    """The same names, uids and addresses twice on one node; each reads only its own frames."""
    cable = Cable(1, "r1:eth1", "r2:eth1")
    documents = [*network([cable], "one"), *network([cable], "two")]
    lab.up(write(tmp_path / "lab.yml", documents))
    with capturing(lab, "two/r2", "eth1") as other:
        with capturing(lab, "one/r2", "eth1") as own:
            assert lab.pings("one/r1", cable.addresses[1])
            lab.exec("one/r1", "ping", "-q", "-f", "-c", "500", cable.addresses[1])
        assert own.told["frames"] >= 500
    # what comes by itself is neighbour discovery of IPv6
    assert other.told["frames"] < 50
    lab.run("link", "down", "-n", "one", "r1:eth1")
    lab.wait("down", "one/r1:eth1")
    assert not lab.carrier("one/r2:eth1")
    assert lab.carrier("two/r2:eth1")
    assert lab.pings("two/r1", cable.addresses[1])


def test_a_pod_cabled_to_itself(lab: Lab, tmp_path: Path) -> None:
    """meshnet-cni#76. A frame that leaves by one interface comes in by the other."""
    lab.up(write(tmp_path / "lab.yml", network([Cable(1, "r1:eth1", "r1:eth2")])))
    found = lab.interfaces("r1")
    assert found["eth1"].carrier
    assert found["eth2"].carrier
    with capturing(lab, "r1", "eth2") as there:
        lab.exec("r1", "ping", "-q", "-c", "3", "-i", "0.1", "-w", "3", "-I", "eth1", "10.100.1.77", code=None)
    assert there.told["frames"] >= 2, "the ARP requests of eth1"
    lab.exec("r1", "ip", "link", "set", "eth1", "down")
    eventually(lambda: not lab.carrier("r1:eth2"), "the other end loses carrier")
    lab.run("lab", "restart", "r1")
    lab.wait("up")
    assert lab.carrier("r1:eth1")


def test_a_link_that_fails_fails_alone_and_says_why(lab: Lab, tmp_path: Path) -> None:
    """meshnet-cni#76: no such parent, no such driver, an MTU beyond the parent's; the rest of the pod is wired."""
    good = Cable(1, "r1:eth1", "r2:eth1")
    bad = [
        {"uid": 2, "peer_pod": "localhost", "local_intf": "ext1", "peer_intf": "nosuch0"},
        {"uid": 3, "peer_pod": "localhost", "local_intf": "ext2", "peer_intf": "eth0", "mtu": 9000},
        {"uid": 4, "peer_pod": "localhost", "local_intf": "ext3", "peer_intf": "eth0", "driver": "warp"},
        {"uid": 5, "peer_pod": "localhost", "local_intf": "ext4", "peer_intf": "eth0", "options": {"mode": "fast"}},
    ]
    documents = network([good])
    documents[0]["spec"]["links"] += bad
    ran = lab.run("lab", "up", "--wait", "3", write(tmp_path / "lab.yml", documents), code=1)
    assert "r1:ext1" in ran.stderr
    assert lab.pings("r1", good.addresses[1])
    states = {
        1: ("Up", None),
        2: ("Failed", "ParentMissing"),
        3: ("Failed", "MtuTooLarge"),
        4: ("Failed", "DriverMissing"),
        5: ("Failed", "InvalidOptions"),
    }
    eventually(lambda: told(lab) == states, f"states and reasons {states}")
    links = lab.links()
    assert "eth0" in links[2]["message"], "names what is there"
    assert "1500" in links[3]["message"], "names the maximum"
    assert "warp" in links[4]["message"]
    assert "mode" in links[5]["message"]
    events = lab.get("events")
    assert {"ParentMissing", "MtuTooLarge", "DriverMissing", "InvalidOptions"} <= {event["reason"] for event in events}


def told(lab: Lab) -> dict[int, tuple[str, str | None]]:
    return {uid: (link["state"], link.get("reason")) for uid, link in lab.links().items()}


def test_foreign_interfaces_are_never_touched(lab: Lab, tmp_path: Path) -> None:
    """The pod's own devices, in the pod and on the node, through everything that happens to the links."""
    cable, edited = Cable(1, "r1:eth1", "r2:eth1"), Cable(1, "r1:eth1", "r2:eth1", both={"mtu": 1400})
    lab.up(write(tmp_path / "lab.yml", network([cable])))
    make = (
        "ip link add net1 type veth peer name net2; ip link add br0 type bridge; ip link set net1 master br0 up;"
        "ip address add 192.0.2.1/24 dev br0; ip link add mv0 link net2 type macvlan mode bridge"
    )
    lab.exec("r1", "sh", "-e", "-c", make)
    lab.in_box("ip -n n1 link add mnforeign0 type veth peer name vx1; ip -n n1 link set mnforeign0 up")
    before = foreign(lab)
    lab.apply(write(tmp_path / "edited.yml", topologies([edited])))
    eventually(lambda: lab.interfaces("r1")["eth1"].mtu == 1400, "the edit is applied")
    lab.run("lab", "node", "n1", "kill")
    lab.run("lab", "node", "n1", "start")
    lab.run("lab", "restart", "r2")
    lab.wait("up")
    lab.apply(write(tmp_path / "none.yml", topologies([], extra=["r1", "r2"])))
    eventually(lambda: "eth1" not in lab.interfaces("r1"), "the link is gone")
    assert foreign(lab) == before
    assert {"net1", "net2", "br0", "mv0"} <= lab.interfaces("r1").keys()


def foreign(lab: Lab) -> tuple[list[str], list[str]]:
    """Return the lines of the foreign interfaces, in the pod and on the node."""
    inside = [line for line in lab.exec("r1", "ip", "-o", "link").splitlines() if " eth1@" not in line]
    node = lab.in_box("ip -n n1 -o link").splitlines()
    return inside, [line for line in node if "mnforeign0" in line]


def test_an_interface_that_the_pod_has_renamed_stays_the_links(lab: Lab, tmp_path: Path) -> None:
    """The pod's end belongs to the pod: its name, MAC and admin state are its own affair."""
    cable = Cable(1, "r1:eth1", "r2:eth1")
    lab.up(write(tmp_path / "lab.yml", network([cable])))
    rename = "ip link set eth1 down; ip link set eth1 name wan0 address 02:00:00:00:00:99; ip link set wan0 up"
    lab.exec("r1", "sh", "-e", "-c", f"{rename}; ip address replace {cable.addresses[0]}/24 dev wan0")
    lab.run("lab", "node", "n1", "kill")
    lab.run("lab", "node", "n1", "start")
    lab.wait("up")
    found = lab.interfaces("r1")
    assert found.keys() == {"wan0"}
    assert (found["wan0"].mac, found["wan0"].carrier) == ("02:00:00:00:00:99", True)
    assert lab.pings("r1", cable.addresses[1])


@pytest.mark.slow
def test_forty_pods_at_once_with_all_links_between_neighbours(lab: Lab, tmp_path: Path) -> None:
    """meshnet-cni#45: 40 pods, each with ten links, all with uids that others use too."""
    pods = [f"p{number}" for number in range(40)]
    cables = [
        Cable(step, f"{name}:out{step}", f"{pods[(number + step) % 40]}:in{step}", a_only={"local_ip": None})
        for step in range(1, 6)
        for number, name in enumerate(pods)
    ]
    lab.up(write(tmp_path / "lab.yml", network([Cable(c.uid, c.a, c.b, both={"local_ip": None}) for c in cables])))
    links = lab.get("links")
    assert len(links) == 200
    assert all(end["carrier"] for link in links for end in link["endpoints"])
    assert {len(row["ports"]) for row in lab.get("sandboxes")} == {10}


def test_a_stray_pod_without_topology_is_left_to_itself(lab: Lab, tmp_path: Path) -> None:
    """And one that gets its Topology later is wired as it runs."""
    lab.up(write(tmp_path / "lab.yml", [topology("r1", []), pod("r1"), pod("late")]))
    assert lab.interfaces("late") == {}
    cable = Cable(1, "r1:eth1", "late:eth1")
    lab.apply(write(tmp_path / "late.yml", topologies([cable])))
    lab.wait("up")
    assert lab.pings("late", cable.addresses[0])
