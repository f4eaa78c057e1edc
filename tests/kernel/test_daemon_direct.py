"""Links whose interface a driver makes in the pod itself, with the macvlan driver on a NIC of the node."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from meshnet.driver.registry import Registry
from meshnet.netlink import Netlink, VethSpec, links
from tests.kernel.daemons import PodBox, link, pair, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.daemons import DaemonNode

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(Registry.load().find("macvlan") is None, reason="driver macvlan is not installed"),
]


@pytest.fixture
def nic(node: DaemonNode, new_ns: Callable[[], int]) -> int:
    """A NIC of the node, and the namespace at the other end of its cable, with 192.0.2.254."""
    outside = new_ns()
    spec = VethSpec("nic0", 1 << 19, "06:00:00:00:00:01", 1500, "far", "06:00:00:00:00:02", outside)
    with Netlink.open() as netlink:
        netlink.run([links.new_veth(spec), links.set_link(1 << 19, up=True)])
    return outside


def external(**fields: object) -> dict[str, object]:
    return topology("r1", link(1, "net1", "localhost:nic0", local_ip="192.0.2.1/24", **fields))


def far_end(node: DaemonNode, outside: int) -> PodBox:
    box = PodBox("outside", "", outside)
    box.run("ip", "addr", "add", "192.0.2.254/24", "dev", "far")
    box.run("ip", "link", "set", "far", "up")
    return box


def test_it_is_there_when_add_answers_and_gone_after_del(node: DaemonNode, nic: int) -> None:
    far_end(node, nic)
    node.apply(external())
    r1 = node.pod("r1")
    result = node.add(r1).result

    assert [entry["name"] for entry in result["interfaces"]] == ["net1"]
    info = r1.links()["net1"]
    assert (info.kind, info.up, r1.addresses("net1")) == ("macvlan", True, ["192.0.2.1/24"])
    assert result["interfaces"][0]["mac"] == info.mac
    assert node.ports() == {}
    assert node.state("r1", "net1") == ("Up", "")
    assert eventually(lambda: " 1 received" in r1.run("ping", "-c", "1", "-W", "1", "192.0.2.254", check=False))
    assert node.cni("CHECK", r1).done

    assert node.delete(r1).done
    assert r1.links() == {}
    assert [info.name for info in node.netlink_links()] == ["nic0"]


def test_a_restarted_daemon_leaves_it_as_it_is_and_still_removes_it(node: DaemonNode, nic: int) -> None:
    node.apply(external())
    (r1,) = node.up("r1")
    before = r1.links()["net1"]
    node.kill()
    node.start()

    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))
    assert r1.links()["net1"].ifindex == before.ifindex
    assert node.add(r1).done
    assert r1.links()["net1"].ifindex == before.ifindex
    node.kill()
    node.start()
    assert node.delete(r1).done
    assert r1.links() == {}


def test_one_that_was_deleted_meanwhile_is_made_anew(node: DaemonNode, nic: int) -> None:
    node.apply(external())
    (r1,) = node.up("r1")
    r1.run("ip", "link", "del", "net1")

    assert eventually(lambda: "net1" in r1.links() and r1.addresses("net1") == ["192.0.2.1/24"])
    node.kill()
    r1.run("ip", "link", "del", "net1")
    node.start()
    assert eventually(lambda: "net1" in r1.links() and r1.addresses("net1") == ["192.0.2.1/24"])
    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))


@pytest.mark.parametrize("away", [False, True], ids=["running", "restarted"])
def test_deleting_a_topology_only_takes_its_carrier(node: DaemonNode, nic: int, away: bool) -> None:
    far_end(node, nic)
    node.apply(external())
    (r1,) = node.up("r1")
    before = r1.links()["net1"].ifindex
    r1.run("ip", "addr", "add", "192.0.2.7/24", "dev", "net1")
    if away:
        node.kill()
    node.withdraw("r1")
    if away:
        node.start()

    assert eventually(lambda: not r1.carrier("net1"))
    assert node.state("r1", "net1") == ("Failed", "TopologyMissing")
    node.apply(external())
    assert eventually(lambda: r1.carrier("net1"))
    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))
    assert r1.links()["net1"].ifindex == before
    assert r1.addresses("net1") == ["192.0.2.1/24", "192.0.2.7/24"]

    node.withdraw("r1")
    assert eventually(lambda: not r1.carrier("net1"))
    assert node.delete(r1).done
    assert r1.links() == {}


@pytest.fixture
def moved(node: DaemonNode, nic: int, new_ns: Callable[[], int]) -> tuple[PodBox, PodBox]:
    """A pod, and a namespace within it that it has moved its interface to."""
    node.stop()
    node.start(MESHNET_PASS_SECONDS="0.2")
    node.apply(external())
    (r1,) = node.up("r1")
    inner = PodBox("inner", "", new_ns())
    r1.run("ip", "link", "set", "net1", "netns", inner.netns)
    inner.run("ip", "link", "set", "net1", "up")
    return r1, inner


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_one_that_the_pod_moved_into_a_namespace_of_its_own_is_not_made_again(
    node: DaemonNode, moved: tuple[PodBox, PodBox], restart: bool
) -> None:
    r1, inner = moved
    before = inner.links()
    if restart:
        node.kill()
        node.start()

    assert eventually(lambda: node.state("r1", "net1")[1] == "InterfaceMoved")
    time.sleep(1.0)  # some passes
    assert node.cni("CHECK", r1).done
    assert r1.links() == {}
    assert inner.links() == before
    inner.run("ip", "link", "set", "net1", "netns", r1.netns)
    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))
    assert r1.links()["net1"].ifindex == before["net1"].ifindex


@pytest.mark.parametrize("inner_veth", [False, True], ids=["to a peer", "within the pod"])
def test_one_that_is_back_in_a_pod_with_cables_is_not_said_to_be_away(
    node: DaemonNode, moved: tuple[PodBox, PodBox], inner_veth: bool
) -> None:
    """To list a namespace's links from the pod gives a number to each that a veth there leads to: to the pod, too."""
    r1, inner = moved
    if inner_veth:
        r1.run("ip", "link", "add", "own0", "type", "veth", "peer", "name", "own1", "netns", inner.netns)
    else:
        node.apply(topology("r1", *external()["spec"]["links"], link(2, "eth1", "r2:eth1")))  # type: ignore[index]
        assert eventually(lambda: "eth1" in r1.links())
    assert eventually(lambda: node.state("r1", "net1")[1] == "InterfaceMoved")
    time.sleep(0.5)  # some passes
    inner.run("ip", "link", "set", "net1", "netns", r1.netns)

    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))


def test_one_whose_namespace_within_the_pod_ended_is_made_anew(node: DaemonNode, moved: tuple[PodBox, PodBox]) -> None:
    r1, inner = moved
    assert eventually(lambda: node.state("r1", "net1")[1] == "InterfaceMoved")
    inner.end()

    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))
    assert r1.addresses("net1") == ["192.0.2.1/24"]


def test_one_that_was_deleted_is_not_taken_for_what_an_older_sandbox_of_the_pod_has(node: DaemonNode, nic: int) -> None:
    """The port of one that waits for its DEL is in the node's namespace, which the pod's veths are numbered in."""
    beside = link(2, "eth1", "r2:eth1")
    node.apply(topology("r1", link(1, "net1", "r2:net1"), beside))
    old, new = node.pod("r1", "c-old"), node.pod("r1", "c-new")
    assert node.add(old).done
    assert node.add(new).done
    node.apply(topology("r1", *external()["spec"]["links"], beside))  # type: ignore[index]
    assert eventually(lambda: node.state("r1", "net1") == ("Up", "") and new.links()["net1"].kind == "macvlan")
    assert old.links()["net1"].kind == "veth"
    new.run("ip", "link", "del", "net1")

    assert eventually(lambda: "net1" in new.links() and new.addresses("net1") == ["192.0.2.1/24"])
    assert node.state("r1", "net1") == ("Up", "")


def test_a_parent_that_is_missing_is_a_reason(node: DaemonNode) -> None:
    node.apply(external())
    (r1,) = node.up("r1")

    assert r1.links() == {}
    state, reason = node.state("r1", "net1")
    assert (state, reason) == ("Failed", "ParentMissing")
    assert "net1" in node.cni("CHECK", r1).error["msg"]
    assert node.delete(r1).done


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize(
    ("edited", "reason"),
    [
        ({"peer_intf": "nic9"}, "ParentMissing"),
        ({"mtu": 9000}, "MtuTooLarge"),
        ({"options": {"mode": "nonsense"}}, "InvalidOptions"),
    ],
)
def test_one_that_cannot_be_what_it_is_edited_to_has_no_carrier(
    node: DaemonNode, nic: int, edited: dict[str, object], reason: str, away: bool
) -> None:
    """It is on the network that it was on before, and that is not what was asked for."""
    far_end(node, nic)
    node.apply(external())
    (r1,) = node.up("r1")
    before = r1.links()["net1"]
    assert before.carrier
    if away:
        node.kill()
    node.apply(topology("r1", link(1, "net1", "localhost:nic0", local_ip="192.0.2.1/24") | edited))
    if away:
        node.start()
    assert eventually(lambda: node.state("r1", "net1") == ("Failed", reason))
    assert eventually(lambda: not r1.links()["net1"].carrier)

    node.apply(external())
    assert eventually(lambda: node.state("r1", "net1") == ("Up", "") and r1.links()["net1"].carrier)
    assert r1.links()["net1"].ifindex == before.ifindex


def test_check_goes_by_what_add_told_of(node: DaemonNode, nic: int) -> None:
    """CRI-O checks what it has just added, and gives up a pod whose check fails."""
    node.apply(topology("r1", link(1, "net1", "localhost:nic0"), link(2, "net2", "localhost:nic9")))
    (r1,) = node.up("r1")
    added = node.add(r1).result

    assert [entry["name"] for entry in added["interfaces"]] == ["net1"]
    assert node.state("r1", "net2") == ("Failed", "ParentMissing")
    assert node.cni("CHECK", r1, prevResult=added).done

    node.run("ip link delete nic0")
    assert eventually(lambda: node.state("r1", "net1") == ("Failed", "ParentMissing"))
    assert "default/r1:net1" in node.cni("CHECK", r1, prevResult=added).error["msg"]


def test_a_mac_that_is_edited_while_the_daemon_is_away_is_applied(node: DaemonNode, nic: int) -> None:
    topology = external()
    node.apply(topology)
    (r1,) = node.up("r1")
    before = r1.links()["net1"].ifindex
    node.kill()
    topology["spec"]["links"][0]["local_mac"] = "02:00:5e:00:56:09"  # type: ignore[index]
    node.apply(topology)
    node.start()

    assert eventually(lambda: r1.links()["net1"].mac == "02:00:5e:00:56:09")
    assert r1.links()["net1"].ifindex == before
    r1.run("ip", "link", "set", "net1", "address", "02:00:5e:00:56:0a")
    node.kill()
    node.start()
    assert eventually(lambda: node.state("r1", "net1")[0] == "Up")
    time.sleep(0.5)  # time enough to set it
    assert r1.links()["net1"].mac == "02:00:5e:00:56:0a"  # its own affair


def test_a_pod_has_a_direct_interface_beside_a_port(node: DaemonNode, nic: int) -> None:
    one, two = pair()
    one["spec"]["links"] += external()["spec"]["links"]  # type: ignore[index]
    one["spec"]["links"][1]["uid"] = 9
    node.apply(one, two)
    r1, r2 = node.up("r1", "r2")

    assert eventually(lambda: r1.carrier("eth1") and r2.carrier("eth1"))
    assert {name: info.kind for name, info in r1.links().items()} == {"eth1": "veth", "net1": "macvlan"}
    node.apply(*pair())
    assert eventually(lambda: set(r1.links()) == {"eth1"})
    assert r1.carrier("eth1")


def test_a_namespace_that_dies_takes_it_along(node: DaemonNode, nic: int) -> None:
    node.apply(external())
    (r1,) = node.up("r1")
    r1.end()

    assert eventually(lambda: node.ask("sandboxes")["sandboxes"] == [])
    assert eventually(lambda: not node.status("r1").get("node"))


def test_an_mtu_that_lets_ipv6_in_comes_with_its_addresses(node: DaemonNode, nic: int) -> None:
    """The driver sets the MTU; below 1280 the kernel takes no IPv6 address."""
    node.apply(external(mtu=1000))
    (r1,) = node.up("r1")
    before = r1.links()["net1"].ifindex
    node.apply(external(mtu=1400, local_ips=["fd00::1/64"]))

    assert eventually(lambda: r1.addresses("net1") == ["192.0.2.1/24", "fd00::1/64"])  # long before a pass
    assert r1.links()["net1"].ifindex == before
    node.apply(external(mtu=1000))
    assert eventually(lambda: r1.addresses("net1") == ["192.0.2.1/24"])
    assert eventually(lambda: r1.links()["net1"].mtu == 1000)
    assert node.state("r1", "net1") == ("Up", "")


MACS = ("02:00:5e:00:56:01", "02:00:5e:00:56:02")


def mac_of(pod: PodBox, interface: str) -> str:
    """Return the MAC of an interface; "" while it is away to be made anew."""
    info = pod.links().get(interface)
    return info.mac if info is not None else ""


def give_macs(node: DaemonNode, r1: str, r2: str) -> None:
    for uid, (pod, mac) in enumerate((("r1", r1), ("r2", r2)), 1):
        node.apply(topology(pod, link(uid, "net1", "localhost:nic0", local_ip=f"192.0.2.{uid}/24", local_mac=mac)))


def test_two_on_one_nic_swap_their_macs(node: DaemonNode, nic: int) -> None:
    give_macs(node, *MACS)
    pods = node.up("r1", "r2")
    give_macs(node, *reversed(MACS))

    assert eventually(lambda: tuple(mac_of(pod, "net1") for pod in pods) == MACS[::-1])
    assert eventually(lambda: [node.state(pod, "net1") for pod in ("r1", "r2")] == [("Up", "")] * 2)
    assert [pod.addresses("net1") for pod in pods] == [["192.0.2.1/24"], ["192.0.2.2/24"]]


def test_two_of_one_pod_on_one_nic_swap_their_links(node: DaemonNode, nic: int) -> None:
    """Each gets the MAC, the address and the uid of the other, in one edit."""

    def edit(*interfaces: str) -> None:
        links = [
            link(uid, interface, "localhost:nic0", local_ip=f"192.0.2.{uid}/24", local_mac=mac)
            for uid, (interface, mac) in enumerate(zip(interfaces, MACS, strict=True), 1)
        ]
        node.apply(topology("r1", *links))

    edit("net1", "net2")
    (r1,) = node.up("r1")
    edit("net2", "net1")

    assert eventually(lambda: [mac_of(r1, name) for name in ("net2", "net1")] == list(MACS))
    assert eventually(lambda: node.state("r1", "net1") == node.state("r1", "net2") == ("Up", ""))
    assert [r1.addresses(name) for name in ("net2", "net1")] == [["192.0.2.1/24"], ["192.0.2.2/24"]]


def test_a_mac_that_was_taken_comes_once_it_is_free_by_a_new_daemon_too(node: DaemonNode, nic: int) -> None:
    give_macs(node, *MACS)
    r1, _ = node.up("r1", "r2")
    give_macs(node, MACS[1], MACS[1])
    assert eventually(lambda: node.state("r1", "net1") == ("Failed", "MacTaken"))
    node.kill()
    node.start()

    give_macs(node, MACS[1], MACS[0])
    assert eventually(lambda: MACS[1] in [link.mac for name, link in r1.links().items() if name == "net1"])
    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))
    assert r1.addresses("net1") == ["192.0.2.1/24"]
