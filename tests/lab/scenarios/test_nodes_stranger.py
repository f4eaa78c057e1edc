"""A driver for links between nodes that is somebody else's: installed by pip it wires a lab of two nodes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tests.testing
from tests.lab.scenarios.lab import eventually
from tests.lab.scenarios.nodes import bring_up, drivers_of, left, took
from tests.lab.scenarios.watching import flooding
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from tests.lab.scenarios.elsewhere import Venv
    from tests.lab.scenarios.lab import Lab

NAME = "meshnet-stranger"
DRIVER, UDP_PORT = "udpwire", ":51222"
STRANGE = Cable(1, "r1:eth1", "r2:eth1", both={"mtu": 9000})
OURS = Cable(2, "r1:eth2", "r2:eth2", both={"driver": "vxlan"})
CABLES = (STRANGE, OURS)
PLACE = {"r1": "n1", "r2": "n2"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source tree of that distribution, where a build may write."""
    return Path(shutil.copytree(Path(tests.testing.__file__).parent / "stranger", tmp_path / "stranger"))


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_it_is_chosen_by_its_name_and_behaves_as_ours_do(
    there: Lab, elsewhere: Venv, source: Path, tmp_path: Path, family: str
) -> None:
    elsewhere.install(source)
    bring_up(there, tmp_path, CABLES, PLACE, DRIVER, "--underlay", family)
    assert drivers_of(there) == {1: DRIVER, 2: "vxlan"}
    answers(there)
    moves_to_its_peer_and_back(there)
    carrier_is_the_truth(there)
    comes_back_with_a_daemon(there)

    there.run("lab", "stop", "r1")
    there.run("lab", "stop", "r2")
    eventually(lambda: all(idle(there, node) for node in ("n1", "n2")), "nothing is left of its links")


def test_where_it_is_uninstalled_its_links_say_why(there: Lab, elsewhere: Venv, source: Path, tmp_path: Path) -> None:
    elsewhere.install(source)
    bring_up(there, tmp_path, CABLES, PLACE, DRIVER)
    elsewhere.pip("uninstall", "-y", NAME)
    with flooding(there, "r1", OURS.addresses[1]) as other:
        there.run("lab", "node", "n1", "kill")
        there.run("lab", "node", "n1", "start")
        there.wait("up", "r1:eth2")
        eventually(lambda: not there.carrier("r2:eth1"), "the other node's end has no carrier")
    assert other.lost == 0
    elsewhere.install(source)
    there.run("lab", "node", "n1", "stop")
    there.run("lab", "node", "n1", "start")
    there.wait("up")
    answers(there)


def idle(lab: Lab, node: str) -> bool:
    """Tell whether all that is left on a node is the driver's one socket, which it has while it runs."""
    there = left(lab, node).splitlines()
    return len(there) == 1 and UDP_PORT in there[0]


def answers(lab: Lab) -> None:
    """Its link carries what its MTU says, in both directions, and not a byte more."""
    for pod, address in zip(("r2", "r1"), STRANGE.addresses, strict=True):
        assert lab.pings(pod, address, "-M", "do", "-s", 8972)
        assert not lab.pings(pod, address, "-M", "do", "-s", 8973, "-w", "1")


def moves_to_its_peer_and_back(lab: Lab) -> None:
    """On the peer's node the link is another driver's; the peer's interface stays the same."""
    port = lab.interfaces("r2")["eth1"]
    for node, driver in (("n2", "veth"), ("n1", DRIVER)):
        lab.run("lab", "restart", "r1", "--node", node)
        took(lambda: lab.pings("r2", STRANGE.addresses[0], "-w", "1"), f"r1 on {node}, pings again")
        lab.wait("up", "r1:eth1")  # the other link is given a driver for two nodes
        assert drivers_of(lab)[1] == driver
        assert lab.interfaces("r2")["eth1"] == port
        answers(lab)


def carrier_is_the_truth(lab: Lab) -> None:
    """Core keeps it, whatever drives a port: of a link that is down, and of a node that is cut off."""
    lab.run("link", "down", "r1:eth1")
    eventually(lambda: not lab.carrier("r2:eth1"), "the peer of an unplugged end has no carrier")
    lab.run("link", "up", "r1:eth1")
    lab.wait("up")
    lab.run("lab", "node", "n1", "isolate")
    took(lambda: not (lab.carrier("r1:eth1") or lab.carrier("r2:eth1")), "a node is cut off, no carrier")
    lab.run("lab", "node", "n1", "rejoin")
    lab.wait("up")
    answers(lab)


def comes_back_with_a_daemon(lab: Lab) -> None:
    lab.run("lab", "node", "n1", "kill")
    lab.run("lab", "node", "n1", "start")
    lab.wait("up")
    answers(lab)
