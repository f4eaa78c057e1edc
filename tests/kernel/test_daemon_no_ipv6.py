"""Pods that have IPv6 disabled: their links have the other addresses, and work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from meshnet.netlink import Netlink, links
from tests.kernel.daemons import link, pair, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from tests.kernel.daemons import DaemonNode, PodBox

pytestmark = pytest.mark.kernel

DUAL = {"local_ip": "10.0.0.1/24", "local_ips": ["fd00::1/64"]}
A_PASS = "0.2"
LOOPBACK = 1


def disable(pod: PodBox, interface: str = "default", *, yes: bool = True) -> None:
    pod.run("sysctl", "-w", f"net.ipv6.conf.{interface}.disable_ipv6={int(yes)}")


def dual(interface: str = "eth1") -> list[dict[str, object]]:
    return [
        topology("r1", link(1, interface, "r2:eth1", **DUAL)),
        topology("r2", link(1, "eth1", f"r1:{interface}", local_ip="10.0.0.2/24")),
    ]


@pytest.fixture
def pods(node: DaemonNode) -> tuple[PodBox, PodBox]:
    """r1, which has no IPv6 and shall have an address of it, and r2."""
    node.stop()
    node.start(MESHNET_PASS_SECONDS=A_PASS)
    node.apply(*dual())
    r1 = node.pod("r1")
    disable(r1)
    assert node.add(r1).done
    (r2,) = node.up("r2")
    return r1, r2


def works(node: DaemonNode, pods: tuple[PodBox, PodBox]) -> bool:
    r1, r2 = pods
    up = r1.carrier() and r2.carrier() and node.state("r1")[0] == node.state("r2")[0] == "Up"
    return up and " 1 received" in r1.run("ping", "-c", "1", "-W", "2", "10.0.0.2", check=False)


def test_the_link_works_and_the_refusal_is_logged(node: DaemonNode, pods: tuple[PodBox, PodBox]) -> None:
    assert eventually(lambda: works(node, pods))
    assert pods[0].addresses() == ["10.0.0.1/24"]
    assert "fd00::1/64" in node.log()
    time.sleep(1.0)  # some passes
    assert works(node, pods)


def test_the_address_is_given_when_the_pod_takes_it(node: DaemonNode, pods: tuple[PodBox, PodBox]) -> None:
    assert eventually(lambda: works(node, pods))
    disable(pods[0], "eth1", yes=False)

    assert eventually(lambda: sorted(pods[0].addresses()) == ["10.0.0.1/24", "fd00::1/64"])
    assert works(node, pods)


def test_what_add_answers_has_no_address_that_the_pod_has_not(node: DaemonNode) -> None:
    node.apply(*dual())
    r1 = node.pod("r1")
    disable(r1)
    assert [entry["address"] for entry in node.add(r1, resultAddresses=True).result["ips"]] == ["10.0.0.1/24"]


def test_a_late_link_works_too(node: DaemonNode) -> None:
    node.apply(*pair())
    pods = r1, _ = node.pod("r1"), node.pod("r2")
    disable(r1)
    assert all(node.add(pod).done for pod in pods)
    node.apply(*dual("eth2"))

    assert eventually(lambda: set(r1.links()) == {"eth2"} and r1.carrier("eth2"))
    assert eventually(lambda: node.state("r1", "eth2")[0] == "Up")
    assert r1.addresses("eth2") == ["10.0.0.1/24"]


def test_an_edit_gives_what_it_can(node: DaemonNode, pods: tuple[PodBox, PodBox]) -> None:
    assert eventually(lambda: works(node, pods))
    one, other = dual()
    one["spec"]["links"][0] |= {"local_ips": ["fd00::5/64", "10.0.0.5/24"]}  # type: ignore[index]
    node.apply(one, other)

    assert eventually(lambda: pods[0].addresses() == ["10.0.0.1/24", "10.0.0.5/24"])
    assert works(node, pods)


def test_a_link_whose_own_mtu_is_too_small_for_ipv6_is_not_said_to_be_up(node: DaemonNode) -> None:
    """Here by the underlay, which carries no more; that is not the pod's doing, which the pod can undo."""
    node.stop()
    with Netlink.open() as netlink:
        netlink.run([links.set_link(LOOPBACK, mtu=1300)])
    node.start(MESHNET_PASS_SECONDS=A_PASS, MESHNET_UNDERLAY_INTERFACE="lo")
    node.apply(*dual())
    r1, _ = node.up("r1", "r2")

    assert r1.links()["eth1"].mtu < 1280
    assert eventually(lambda: node.state("r1") == ("Failed", "KernelRefused"))
    time.sleep(1.0)  # some passes
    assert node.state("r1") == ("Failed", "KernelRefused")


def test_an_edit_gives_what_it_can_to_an_interface_that_its_pod_gave_a_smaller_mtu(
    node: DaemonNode, pods: tuple[PodBox, PodBox]
) -> None:
    """Below 1280 there is no IPv6 on it; the MTU is the pod's own to change, and is no reason to unplug the cable."""
    assert eventually(lambda: works(node, pods))
    r1, _ = pods
    r1.run("ip", "link", "set", "eth1", "mtu", "1000")
    one, other = dual()
    one["spec"]["links"][0] |= {"local_ips": ["fd00::5/64", "10.0.0.5/24"]}  # type: ignore[index]
    node.apply(one, other)

    assert eventually(lambda: r1.addresses() == ["10.0.0.1/24", "10.0.0.5/24"])
    assert eventually(lambda: works(node, pods))
    r1.run("ip", "link", "set", "eth1", "mtu", "1500")
    disable(r1, "eth1", yes=False)
    assert eventually(lambda: "fd00::5/64" in r1.addresses())


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_it_works_on_where_the_pod_cannot_be_entered_again(
    node: DaemonNode, pods: tuple[PodBox, PodBox], restart: bool
) -> None:
    """The namespace's path is gone; that the pod refused an address is no news."""
    assert eventually(lambda: works(node, pods))
    r1, r2 = pods
    view = node.directory / "view"
    view.mkdir()
    again = node.pod("r1", "c-again")
    disable(again)
    (view / "r1").symlink_to(again.netns)
    assert node.add(again, netns=str(view / "r1")).done
    (view / "r1").unlink()
    view.rmdir()
    if restart:
        node.kill()
        node.start()
    time.sleep(1.0)  # some passes

    assert eventually(lambda: works(node, (again, r2)))
    assert not r1.carrier()
    one, other = dual()
    one["spec"]["links"][0] |= {"local_ips": ["fd00::1/64", "10.0.0.5/24"]}  # type: ignore[index]
    node.apply(one, other)
    assert eventually(lambda: node.state("r1") == ("Failed", "RestartPod"))
