"""Pods whose checkpoint cannot be read: they keep their interfaces, their traffic and their place."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING

import pytest

from meshnet.driver.registry import Registry
from tests.kernel.daemons import indexes, link, pair, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.daemons import DaemonNode, PodBox

pytestmark = pytest.mark.kernel

BROKEN = pytest.mark.parametrize("text", ["", "{", '{"version": 9, "sandboxes": []}'], ids=["empty", "cut", "foreign"])


def spoil(node: DaemonNode, text: str | None, *pods: str) -> None:
    """Break the checkpoints of pods, or with None remove them."""
    for file in (node.directory / "run" / "sandboxes").glob("*.json"):
        if json.loads(file.read_text())["pod"] in pods:
            if text is None:
                file.unlink()
            else:
                file.write_text(text)


def forget_inside(node: DaemonNode) -> None:
    """Start the daemon anew with nothing left that tells where the pods of `wired` can be entered."""
    node.kill()
    spoil(node, None, "r1", "r2")
    for name in ("r1", "r2"):
        node.patch_status(name, {"net_ns": ""})
    node.start()


@contextlib.contextmanager
def listening(pod: PodBox) -> Iterator[list[str]]:
    """Hear what happens to a pod's interfaces during the ``with``; the list has it afterwards."""
    heard: list[str] = []
    with pod.running("ip", "monitor", "link") as process:
        yield heard
        time.sleep(0.5)
        process.terminate()
        heard.append(process.communicate(timeout=10)[0])


@pytest.fixture
def wired(node: DaemonNode) -> tuple[PodBox, PodBox]:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    # The kernel may tell of it a while after there is carrier: what is heard later is not of a restart then.
    assert eventually(lambda: all("state UP" in pod.run("ip", "link", "show", "eth1") for pod in (r1, r2)))
    return r1, r2


def up(node: DaemonNode, *pods: PodBox) -> Callable[[], bool]:
    return lambda: all(node.state(pod.name) == ("Up", "") and pod.carrier() for pod in pods)


@BROKEN
@pytest.mark.parametrize("whose", [("r1",), ("r1", "r2")], ids=["one", "both"])
def test_traffic_does_not_notice(
    node: DaemonNode, wired: tuple[PodBox, PodBox], text: str, whose: tuple[str, ...]
) -> None:
    r1, r2 = wired
    before, epoch = indexes(r1, r2), node.status("r1")["epoch"]
    with listening(r1) as heard:
        node.kill()
        spoil(node, text, *whose)
        node.start()
        assert eventually(up(node, r1, r2))

    assert heard == [""]
    assert indexes(r1, r2) == before
    assert " 1 received" in r1.run("ping", "-c", "1", "-W", "5", "10.0.0.2")
    assert node.status("r1")["epoch"] == epoch
    assert node.status("r1")["net_ns"] == r1.netns
    node.kill()
    node.start()
    assert eventually(up(node, r1, r2))
    assert indexes(r1, r2) == before


def test_a_pod_whose_path_the_status_tells_is_edited_as_ever(node: DaemonNode, wired: tuple[PodBox, PodBox]) -> None:
    r1, r2 = wired
    node.kill()
    spoil(node, None, "r1", "r2")
    node.start()
    assert eventually(up(node, r1, r2))
    one, other = pair(mtu=1400)
    one["spec"]["links"][0] |= {"local_ip": "10.0.0.7/24"}
    node.apply(one, other)

    assert eventually(lambda: r1.links()["eth1"].mtu == r2.links()["eth1"].mtu == 1400)
    assert eventually(lambda: r1.addresses() == ["10.0.0.7/24"])
    assert eventually(up(node, r1, r2))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({"local_ip": "10.0.0.7/24"}, "addresses 10.0.0.1/24 instead of 10.0.0.7/24"),
        ({"mtu": 1400}, "MTU 1500 instead of 1400"),
        ({"local_mac": "02:11:22:33:44:55"}, " instead of 02:11:22:33:44:55"),
    ],
    ids=["address", "mtu", "mac"],
)
def test_without_that_an_edit_says_restart_pod_and_the_cable_stays_whole(
    node: DaemonNode, wired: tuple[PodBox, PodBox], edit: dict[str, object], told: str
) -> None:
    r1, r2 = wired
    forget_inside(node)
    assert eventually(up(node, r1, r2))
    before, was = indexes(r1, r2), r1.links()["eth1"]
    one, other = pair()
    one["spec"]["links"][0] |= edit | {"uid": 2}
    other["spec"]["links"][0] |= {"uid": 2, "mtu": edit.get("mtu", 1500)}
    with listening(r1) as heard:
        node.apply(one, other)
        assert eventually(lambda: node.state("r1") == ("Failed", "RestartPod"))
        row = next(row for row in node.ask("links")["links"] if row["pod"] == "r1")
        assert told in row["message"]
        assert row["uid"] == 2
        assert " 1 received" in r1.run("ping", "-c", "1", "-W", "5", "10.0.0.2")
        node.kill()
        node.start()
        assert eventually(lambda: node.state("r1") == ("Failed", "RestartPod"))
        node.apply(*pair())
        assert eventually(up(node, r1, r2))
    assert heard == [""]
    assert indexes(r1, r2) == before
    assert (r1.links()["eth1"].mtu, r1.links()["eth1"].mac, r1.addresses()) == (1500, was.mac, ["10.0.0.1/24"])


def test_without_that_a_link_is_cabled_to_another_peer_as_ever(node: DaemonNode, wired: tuple[PodBox, PodBox]) -> None:
    r1, r2 = wired
    forget_inside(node)
    r3 = topology("r3", link(1, "eth1", "r1:eth1", local_ip="10.0.0.3/24"))
    node.apply(topology("r1", link(1, "eth1", "r3:eth1", local_ip="10.0.0.7/24")), r3)
    (third,) = node.up("r3")

    assert eventually(lambda: r1.carrier() and third.carrier() and not r2.carrier())
    assert node.state("r1") == ("Failed", "RestartPod")
    assert node.state("r3") == ("Up", "")
    assert " 1 received" in r1.run("ping", "-c", "1", "-W", "5", "10.0.0.3")


def test_an_mtu_that_was_edited_meanwhile_is_applied(node: DaemonNode, wired: tuple[PodBox, PodBox]) -> None:
    r1, r2 = wired
    node.kill()
    spoil(node, None, "r1")
    node.apply(*pair(mtu=1400))
    node.start()

    assert eventually(lambda: r1.links()["eth1"].mtu == r2.links()["eth1"].mtu == 1400)
    assert eventually(up(node, r1, r2))
    assert {port.mtu for port in node.ports().values()} == {1400}


def test_an_mtu_that_cannot_be_applied_is_told(node: DaemonNode, wired: tuple[PodBox, PodBox]) -> None:
    r1, r2 = wired
    node.kill()
    spoil(node, None, "r1")
    node.patch_status("r1", {"net_ns": ""})
    node.apply(*pair(mtu=1400))
    node.start()

    assert eventually(lambda: node.state("r1") == ("Failed", "RestartPod"))
    assert (r1.links()["eth1"].mtu, r2.links()["eth1"].mtu) == (1500, 1400)
    node.apply(*pair())
    assert eventually(up(node, r1, r2))
    assert r2.links()["eth1"].mtu == 1500


def test_del_by_its_container_removes_it(node: DaemonNode, wired: tuple[PodBox, PodBox]) -> None:
    r1, r2 = wired
    node.kill()
    spoil(node, "{", "r1")
    node.start()
    assert node.cni("CHECK", r1).done
    assert node.delete(r1).done

    assert r1.links() == {}
    assert len(node.ports()) == 1
    assert eventually(lambda: not r2.carrier())
    assert eventually(lambda: not node.status("r1").get("node"))
    assert len(list((node.directory / "run" / "sandboxes").glob("*.json"))) == 1


def test_an_add_of_its_container_makes_it_anew(node: DaemonNode, wired: tuple[PodBox, PodBox]) -> None:
    """That ADD was never answered: the daemon died over it, and how far it came is unknown."""
    r1, r2 = wired
    node.kill()
    spoil(node, None, "r1")
    node.start()
    (made,) = node.add(r1, resultAddresses=True).result["interfaces"]

    assert made["mac"] == r1.links()["eth1"].mac
    assert eventually(up(node, r1, r2))
    assert len(node.ports()) == 2
    assert len(node.ask("sandboxes")["sandboxes"]) == 2


def test_its_end_is_heard(node: DaemonNode, wired: tuple[PodBox, PodBox]) -> None:
    r1, r2 = wired
    node.kill()
    spoil(node, "{", "r1", "r2")
    node.start()
    assert eventually(up(node, r1, r2))
    r1.end()

    assert eventually(lambda: not r2.carrier())
    assert eventually(lambda: [box["pod"] for box in node.ask("sandboxes")["sandboxes"]] == ["r2"])
    assert eventually(lambda: not node.status("r1").get("node"))


@pytest.mark.parametrize("lost", ["c-r1", "c-newer"])
def test_who_was_taken_over_does_not_come_back(node: DaemonNode, wired: tuple[PodBox, PodBox], lost: str) -> None:
    old, r2 = wired
    newer = node.pod("r1", "c-newer")
    assert node.add(newer).done
    assert eventually(up(node, newer, r2))
    node.kill()
    for file in (node.directory / "run" / "sandboxes").glob("*.json"):
        if f'"{lost}"' in file.read_text():
            file.unlink()
    node.start()

    assert eventually(up(node, newer, r2))
    assert not old.carrier()
    assert node.status("r1")["container_id"] == "c-newer"
    assert node.delete(old).done
    assert eventually(up(node, newer, r2))


@pytest.mark.skipif(Registry.load().find("macvlan") is None, reason="driver macvlan is not installed")
def test_a_drivers_own_interface_stays_too(node: DaemonNode) -> None:
    node.run("ip link add lan1 type bridge")
    node.run("ip link set lan1 up")
    one, other = pair()
    one["spec"]["links"].append(link(9, "net1", "localhost:lan1", local_ip="192.0.2.1/24"))
    alone = topology("r3", link(9, "net1", "localhost:lan1"))
    node.apply(one, other, alone)
    r1, r2, r3 = node.up("r1", "r2", "r3")
    before = indexes(r1, r3)
    node.kill()
    spoil(node, "{", "r1", "r3")
    node.start()

    assert eventually(up(node, r1, r2))
    assert eventually(lambda: node.state("r1", "net1") == ("Up", ""))
    assert indexes(r1, r3) == before
    assert r1.addresses("net1") == ["192.0.2.1/24"]
    assert node.delete(r1).done
    assert r1.links() == {}
