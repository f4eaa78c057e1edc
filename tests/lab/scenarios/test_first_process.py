"""A pod's first process finds every interface there, with addresses; whether its peers run or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest

from tests.lab.scenarios.lab import Interface, Lab, eventually, parse_interfaces
from tests.lab.scenarios.wiring import Cable, pod, topologies, write

if TYPE_CHECKING:
    from pathlib import Path

PODS = ("r1", "r2", "r3")
CABLES = (
    Cable(1, "r1:eth1", "r2:eth1", both={"local_ips": None}),
    Cable(2, "r1:eth2", "r3:eth1", a_only={"local_ips": ["fd00:2::1/64"]}, b_only={"local_ips": ["fd00:2::2/64"]}),
    Cable(3, "r2:eth2", "r3:eth2"),
)
EXPECTED = {
    ("r1", "eth1"): ("10.100.1.1/24",),
    ("r1", "eth2"): ("10.100.2.1/24", "fd00:2::1/64"),
    ("r2", "eth1"): ("10.100.1.2/24",),
    ("r2", "eth2"): ("10.100.3.1/24",),
    ("r3", "eth1"): ("10.100.2.2/24", "fd00:2::2/64"),
    ("r3", "eth2"): ("10.100.3.2/24",),
}


class Diary:
    """What each pod's first process saw before it did anything else, start by start."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def command(self, name: str) -> tuple[str, ...]:
        keep = f"t=$(mktemp {self._directory}/{name}.XXXXXX) && ip -j address >$t && mv $t {self._directory}/{name}"
        end = self._directory / f"{name}.end"
        return "sh", "-c", f"{keep}; until [ -e {end} ]; do sleep 0.05; done; rm {end}"

    def end(self, name: str) -> None:
        """Let the pod's process end, as a program does that crashes."""
        (self._directory / f"{name}.end").touch()

    def entry(self, name: str) -> dict[str, Interface]:
        """Return what the pod's latest start found, and forget it."""
        path = self._directory / name
        eventually(path.exists, f"the first process of {name} has written what it saw")
        text = path.read_text()
        path.unlink()
        return parse_interfaces(text)


@pytest.fixture
def diary(lab: Lab, tmp_path: Path) -> Diary:
    """A lab of three pods that keep a diary."""
    diary = Diary(tmp_path)
    documents = topologies(CABLES) + [pod(name, diary.command(name)) for name in PODS]
    lab.up(write(tmp_path / "lab.yml", documents))
    return diary


def addresses_of(name: str) -> dict[str, tuple[str, ...]]:
    return {interface: addresses for (pod_name, interface), addresses in EXPECTED.items() if pod_name == name}


def test_everything_is_there_when_all_start_at_once(lab: Lab, diary: Diary) -> None:
    for name in PODS:
        assert {each.name: each.addresses for each in diary.entry(name).values()} == addresses_of(name)


@pytest.mark.parametrize("order", [("r1", "r2", "r3"), ("r3", "r2", "r1")])
def test_peers_may_start_much_later(lab: Lab, diary: Diary, order: tuple[str, ...]) -> None:
    for name in PODS:
        diary.entry(name)
        lab.run("lab", "stop", name)
    born = {}
    for position, name in enumerate(order):
        lab.run("lab", "start", name)
        born[name] = diary.entry(name)
        assert {each.name: each.addresses for each in born[name].values()} == addresses_of(name)
        if position == 0:
            assert [each.carrier for each in lab.interfaces(name).values()] == [False, False]
    lab.wait("up")
    for name in PODS:
        for interface, first in born[name].items():
            now = lab.interfaces(name)[interface]
            assert (now.ifindex, now.mac, now.addresses) == (first.ifindex, first.mac, first.addresses)
            assert now.carrier
    for cable in CABLES:
        assert lab.pings(cable.a.partition(":")[0], cable.addresses[1])


def test_a_container_that_restarts_in_its_sandbox_finds_the_same_interfaces(lab: Lab, diary: Diary) -> None:
    """clabernetes#219: nothing is made again."""
    first = diary.entry("r1")
    sandboxes = lab.get("sandboxes")
    diary.end("r1")
    second = diary.entry("r1")
    assert [attrs.evolve(each, carrier=True) for each in second.values()] == [
        attrs.evolve(each, carrier=True) for each in first.values()
    ]
    assert all(each.carrier for each in second.values())
    assert lab.get("sandboxes") == sandboxes
    assert lab.pings("r1", CABLES[0].addresses[1])


def test_a_peer_that_nobody_declares_leaves_the_port_unconnected(lab: Lab, tmp_path: Path) -> None:
    """containerlab#2399: present, no carrier, and why; later the peer comes and nothing is made again."""
    alone = [topologies(CABLES[:1])[0], pod("r1"), pod("r2")]
    ran = lab.run("lab", "up", "--wait", "2", write(tmp_path / "alone.yml", alone), code=1)
    assert "r1:eth1" in ran.stderr
    assert "r2" in ran.stderr
    before = lab.interfaces("r1")["eth1"]
    assert (before.carrier, before.addresses) == (False, ("10.100.1.1/24",))
    link = lab.end("r1:eth1")
    assert (link["state"], link["reason"]) == ("Pending", "PeerMissing")
    assert "r2" in link["message"]

    lab.apply(write(tmp_path / "both.yml", topologies(CABLES[:1])))
    # r2's pod runs already: what it did not have at its start comes now
    lab.wait("up")
    now = lab.interfaces("r1")["eth1"]
    assert (now.ifindex, now.carrier) == (before.ifindex, True)
    assert lab.pings("r1", CABLES[0].addresses[1])
