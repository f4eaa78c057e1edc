"""A pod restarts, moves, gets another peer, loses its Topology: the same, whichever end is the lower one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from tests.lab.scenarios.nodes import DRIVERS, bare, bring_up, drivers_of, left, took
from tests.lab.scenarios.watching import events, flooding
from tests.lab.scenarios.wiring import Cable, topologies, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

PEER, THIRD = "m5", "m7"
NODES = ("n1", "n2", "n3")
PODS = ("a1", "z9")
"""The one that moves: the lower or the higher end of its links."""
TABLE = "table inet meshnet-vxlan { set vnis { typeof @th,96,24; elements = { 7 }; }; }"


@attrs.frozen
class Scene:
    """A pod on n1, its peer on n2, and a third one on n3 that both have a link to."""

    lab: Lab
    directory: Path
    pod: str
    driver: str

    @property
    def cable(self) -> Cable:
        return Cable(1, f"{self.pod}:eth1", f"{PEER}:eth1")

    @property
    def others(self) -> list[Cable]:
        return [Cable(2, f"{self.pod}:eth2", f"{THIRD}:eth1"), Cable(3, f"{PEER}:eth2", f"{THIRD}:eth2")]

    def up(self) -> None:
        place = {self.pod: "n1", PEER: "n2", THIRD: "n3"}
        bring_up(self.lab, self.directory, [self.cable, *self.others], place, self.driver)

    def apply(self, *cables: Cable, extra: tuple[str, ...] = ()) -> None:
        self.lab.apply(write(self.directory / "edited.yml", topologies(cables, extra=extra)))

    def delete(self, *pods: str) -> None:
        for pod in pods:
            self.lab.run("delete", "topology", pod)

    def pings(self) -> bool:
        return self.lab.pings(self.pod, self.cable.addresses[1], "-w", "1")

    def converges(self, what: str) -> None:
        took(self.pings, f"{self.driver}, {self.pod}: {what}, pings again")
        self.lab.wait("up")


@pytest.fixture(params=PODS)
def pod(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=DRIVERS)
def scene(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path, pod: str) -> Scene:
    made = Scene(lab, tmp_path, pod, str(request.param))
    made.up()
    return made


def survived(scene: Scene, change: Callable[[], None], *survivors: str) -> None:
    """Make a change under traffic of links that it does not concern; then take everything down again."""
    lab = scene.lab
    before = {name: lab.interfaces(name) for name in survivors}
    with events(lab, PEER, scene.directory) as watch, flooding(lab, PEER, scene.others[1].addresses[1]) as flood:
        change()
    assert flood.lost == 0
    assert {name: lab.interfaces(name) for name in survivors} == before
    assert {event["ifindex"] for event in watch.all() if event["kind"] == "link"} <= {before[PEER]["eth1"].ifindex}
    ended(scene)


def ended(scene: Scene) -> None:
    """Take everything down."""
    for name in (scene.pod, PEER, THIRD):
        scene.lab.run("lab", "stop", name)
    took(lambda: bare(scene.lab, NODES), "nothing is left on any node")


def test_what_is_left_on_a_node_is_seen(lab: Lab, tmp_path: Path) -> None:
    """Proof that the other tests would see an element, a socket, a checkpoint."""
    cables = [Cable(uid, f"r1:eth{uid}", f"r2:eth{uid}", both={"driver": name}) for uid, name in enumerate(DRIVERS, 1)]
    bring_up(lab, tmp_path, cables, {"r1": "n1", "r2": "n2"}, "vxlan")
    found = left(lab, "n1")
    for what in ("mn", "vx", "elements = {", "0.0.0.0:51111", "p_raw", ".json"):
        assert what in found
    for name in ("r1", "r2"):
        lab.run("lab", "stop", name)
    took(lambda: bare(lab, ("n1", "n2")), "nothing is left on any node")
    script = f'from meshnet_vxlan.nftables import Nft; Nft().run("{TABLE}")'
    lab.in_box(f"ip netns exec n1 {lab.python} -c '{script}'")
    assert "elements = {" in left(lab, "n1")
    assert not bare(lab, ("n1", "n2"))


def test_restarted(scene: Scene) -> None:
    def change() -> None:
        scene.lab.run("lab", "restart", scene.pod)
        scene.converges("restarted")

    survived(scene, change, PEER, THIRD)


def test_moved_to_another_node(scene: Scene) -> None:
    def change() -> None:
        scene.lab.run("lab", "restart", scene.pod, "--node", "n3")
        scene.converges("moved away")
        assert drivers_of(scene.lab) == {1: scene.driver, 2: "veth", 3: scene.driver}

    survived(scene, change, PEER, THIRD)


def test_moved_to_the_peers_node_and_back(scene: Scene) -> None:
    def change() -> None:
        scene.lab.run("lab", "restart", scene.pod, "--node", "n2")
        scene.converges("moved to the peer's node")
        assert drivers_of(scene.lab) == {1: "veth", 2: scene.driver, 3: scene.driver}
        scene.lab.run("lab", "restart", scene.pod, "--node", "n1")
        scene.converges("moved back")
        assert drivers_of(scene.lab) == {1: scene.driver, 2: scene.driver, 3: scene.driver}

    survived(scene, change, PEER, THIRD)


def test_cabled_to_another_peer_and_back(scene: Scene) -> None:
    other = Cable(1, f"{scene.pod}:eth1", f"{THIRD}:eth3")
    pods = (scene.pod, PEER, THIRD)
    before = {name: scene.lab.interfaces(name) for name in pods}
    scene.apply(other, *scene.others)
    scene.converges("cabled to another peer")
    scene.apply(scene.cable, *scene.others)
    scene.converges("cabled back")
    after = {name: scene.lab.interfaces(name) for name in pods}
    assert after[scene.pod] == before[scene.pod]
    assert after[THIRD] == before[THIRD]
    assert after[PEER]["eth2"] == before[PEER]["eth2"]
    ended(scene)


@pytest.mark.parametrize("whose", ["own", "peer", "both"])
def test_topologies_deleted_and_declared_again(scene: Scene, whose: str) -> None:
    gone = {"own": (scene.pod,), "peer": (PEER,), "both": (scene.pod, PEER)}[whose]

    def change() -> None:
        scene.delete(*gone)
        took(lambda: not scene.lab.carrier(f"{scene.pod}:eth1"), "carrier is lost")
        took(lambda: not scene.lab.carrier(f"{PEER}:eth1"), "at the peer, too")
        scene.apply(scene.cable, *scene.others)
        scene.converges("declared again")

    if whose == "own":
        survived(scene, change, scene.pod, PEER, THIRD)
    else:
        # The peer's other link goes with its Topology: no traffic on it that could be lost.
        before = {name: scene.lab.interfaces(name) for name in (scene.pod, PEER, THIRD)}
        change()
        assert {name: scene.lab.interfaces(name) for name in before} == before
        ended(scene)
