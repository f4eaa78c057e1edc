"""The underlay of a lab: nodes reach each other over it, and can be cut off in several ways."""

from __future__ import annotations

import pytest

from tests.lab import machine
from tests.lab.topologies import link, pod, text, topology

pytestmark = pytest.mark.lab

ADDRESSES = {"ipv4": "10.99.0.{}", "ipv6": "fd00:99::{}"}
CARRIER = ("cat", "/sys/class/net/eth0/carrier")


def up(lab, *words: str, nodes: int = 2) -> None:
    """Start a lab whose pods are all on the first node: links between nodes are not this file's affair."""
    documents = (
        topology("r1", link(1, "eth1", "r2:eth1", "10.0.0.1/24", mtu=1400)),
        topology("r2", link(1, "eth1", "r1:eth1", "10.0.0.2/24")),
        *(pod(name, nodeName="n1") for name in ("r1", "r2")),
    )
    lab.ok("lab", "up", "--nodes", str(nodes), *words, "-", stdin=text(*documents))


def on(lab, node: str, *words: str) -> str:
    return lab.ok("lab", "exec", node, "--", *words).strip()


def reaches(lab, node: str, address: str, *options: str) -> bool:
    """Whether a ping from a node is answered."""
    words = ("ping", "-c", "1", "-W", "1", *options, address)
    return lab.run("lab", "exec", node, "--", *words).returncode == 0


def addresses(lab, node: str) -> str:
    return on(lab, node, "ip", "-o", "address", "show", "dev", "eth0")


@pytest.mark.parametrize(("family", "head"), [("ipv4", 28), ("ipv6", 48)])
@pytest.mark.parametrize("mtu", [1280, 9000, 65535])
def test_packets_as_large_as_the_mtu_pass(lab, family, head, mtu):
    up(lab, "--underlay", family, "--underlay-mtu", str(mtu), nodes=3)
    # no packet is larger than 65535 bytes; IPv6 does not count its own header
    whole = str(min(mtu, 65535 if family == "ipv4" else 65535 - 8) - head)
    for source, destination in ((1, 2), (2, 3), (3, 1)):
        address = ADDRESSES[family].format(destination)
        assert reaches(lab, f"n{source}", address, "-M", "do", "-s", whole)
    if mtu < 65535:
        assert not reaches(lab, "n1", ADDRESSES[family].format(2), "-M", "do", "-s", str(mtu - head + 1))
    assert on(lab, "n2", "cat", "/sys/class/net/eth0/mtu") == str(mtu)


@pytest.mark.parametrize("family", ADDRESSES)
def test_addresses_can_be_used_at_once(lab, family):
    up(lab, "--underlay", family)
    shown = addresses(lab, "n1")
    assert f"{ADDRESSES[family].format(1)}/" in shown
    assert "tentative" not in shown
    assert reaches(lab, "n1", ADDRESSES[family].format(2))


def test_box_forwards_nothing_and_has_no_address_there(lab):
    up(lab, "--underlay", "ipv6")
    settings = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
    for setting in settings:
        script = f"nsenter --net=/proc/1/ns/net cat /proc/sys/{setting}"
        assert on(lab, "n1", "sh", "-c", script) == "0"
    shown = on(lab, "n1", "nsenter", "--net=/proc/1/ns/net", "ip", "-o", "address")
    assert {line.split()[1] for line in shown.splitlines()} <= {"lo"}


def test_uplinks_of_different_names(lab):
    up(lab, "--uplink", "n1=ens3", "--uplink", "n2=bond0.7")
    assert sorted(on(lab, "n1", "ls", "/sys/class/net").split())[0:2] == ["ens3", "lo"]
    assert reaches(lab, "n1", "10.99.0.2", "-I", "ens3")
    assert reaches(lab, "n2", "10.99.0.1", "-I", "bond0.7")
    lab.ok("lab", "node", "n2", "isolate")
    assert not reaches(lab, "n1", "10.99.0.2")
    assert [node["uplink"] for node in lab.json("lab", "nodes")] == ["ens3", "bond0.7"]


@pytest.mark.parametrize("family", ADDRESSES)
def test_unplugged_node_has_no_carrier_and_keeps_its_addresses(lab, family):
    up(lab, "--underlay", family)
    one, two = (ADDRESSES[family].format(number) for number in (1, 2))
    assert reaches(lab, "n1", two)
    before = addresses(lab, "n1"), on(lab, "n1", "ip", "-6", "route"), on(lab, "n2", "ip", "route")
    lab.ok("lab", "node", "n1", "isolate")
    machine.eventually(lambda: on(lab, "n1", *CARRIER) == "0", "the uplink keeps its carrier")
    assert addresses(lab, "n1") == before[0]
    assert on(lab, "n2", *CARRIER) == "1"
    assert not reaches(lab, "n1", two)
    assert not reaches(lab, "n2", one)
    lab.ok("lab", "node", "n1", "rejoin")
    machine.eventually(lambda: reaches(lab, "n2", one), "it is still unplugged")
    assert reaches(lab, "n1", two)
    assert (addresses(lab, "n1"), on(lab, "n1", "ip", "-6", "route"), on(lab, "n2", "ip", "route")) == before


@pytest.mark.parametrize(
    ("direction", "comes", "goes"), [("in", False, True), ("out", True, False), ("both", False, False)]
)
def test_frames_vanish_in_one_direction_and_the_carrier_stays(lab, direction, comes, goes):
    up(lab)
    for node, other in (("n1", "n2"), ("n2", "n1")):
        # asking for it takes both directions
        mac = on(lab, other, "cat", "/sys/class/net/eth0/address")
        on(lab, node, *f"ip neigh replace 10.99.0.{other[1:]} lladdr {mac} nud permanent dev eth0".split())
    assert (arrives(lab, "n1", "n2"), arrives(lab, "n2", "n1")) == (True, True)
    lab.ok("lab", "node", "n1", "isolate", "--direction", direction)
    assert [on(lab, node, *CARRIER) for node in ("n1", "n2")] == ["1", "1"]
    assert (arrives(lab, "n1", "n2"), arrives(lab, "n2", "n1")) == (goes, comes)
    lab.ok("lab", "node", "n1", "rejoin")
    machine.eventually(lambda: arrives(lab, "n1", "n2") and arrives(lab, "n2", "n1"), "it is still cut off")
    assert reaches(lab, "n1", "10.99.0.2")


def test_one_isolation_replaces_another(lab):
    up(lab)
    for direction, state in ((("--direction", "both"), "drops both ways"), ((), "unplugged")):
        lab.ok("lab", "node", "n2", "isolate", *direction)
        assert [node["uplink_state"] for node in lab.json("lab", "nodes")] == ["plugged in", state]
    assert [node["isolated"] for node in lab.json("lab", "nodes")] == [False, True]
    lab.ok("lab", "node", "n2", "isolate", "--direction", "in")
    machine.eventually(lambda: on(lab, "n2", *CARRIER) == "1", "it is still unplugged")
    assert not arrives(lab, "n1", "n2")
    lab.ok("lab", "node", "n2", "rejoin")
    machine.eventually(lambda: reaches(lab, "n1", "10.99.0.2"), "it is still cut off")
    assert "unplugged" not in lab.ok("lab", "nodes")


def arrives(lab, source: str, destination: str) -> bool:
    """Whether pings of one node arrive at another, where they are counted; they need not be answered."""
    before = echoes(lab, destination)
    address = f"10.99.0.{destination.removeprefix('n')}"
    lab.run("lab", "exec", source, "--", "ping", "-c", "2", "-i", "0.2", "-W", "0.3", address)
    return echoes(lab, destination) > before


def echoes(lab, node: str) -> int:
    """How many ICMP echo requests a node has received."""
    names, values = (line.split() for line in on(lab, node, "grep", "^Icmp:", "/proc/net/snmp").splitlines())
    return int(values[names.index("InEchos")])
