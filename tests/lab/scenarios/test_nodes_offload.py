"""With offload a pod's TCP makes frames as long as what carries them takes (BIG TCP), and nowhere longer ones."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import attrs
import pytest
from meshnet_grpcwire.segment import largest_here

from tests.lab.scenarios.loading import load
from tests.lab.scenarios.nodes import bring_up, took
from tests.lab.scenarios.watching import capturing
from tests.lab.scenarios.wiring import Cable, topologies, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

PLACE = {"r1": "n1", "r2": "n2"}
CABLE = Cable(1, "r1:eth1", "r2:eth1", both={"mtu": 1450, "options": {"offload": True}})
USUAL = 65536
LIST = """
from meshnet.netlink import Netlink, links
with Netlink.open() as netlink:
    for info in map(links.parse_link, netlink.dump(links.dump_links())):
        print(info.name, info.gso_ipv4_max_size or 65536)
"""


def sizes(lab: Lab, *nodes: str) -> set[int]:
    """Return the `gso_ipv4_max_size` of both pods' interfaces and of their ports, which are on these nodes."""
    told = [lab.exec(pod, sys.executable, "-c", LIST) for pod in PLACE]
    told += [lab.in_box(f"ip netns exec {node} {sys.executable} -c '{LIST}'") for node in nodes or ("n1", "n2")]
    found = [line.split() for line in "".join(told).splitlines()]
    wanted = [int(size) for name, size in found if name == "eth1" or name.startswith("mn")]
    assert len(wanted) == 4
    return set(wanted)


def carries(lab: Lab, directory: Path) -> int:
    """Put a load on the link; return the length of the longest frame that was received."""
    with capturing(lab, "r2", "eth1") as seen:
        assert load(lab, CABLE, directory) == 8 << 20
    return int(seen.told["longest"])


def test_a_wire_says_how_long_they_may_be(lab: Lab, tmp_path: Path) -> None:
    """Wherever its pods move, whatever is edited, and after a daemon was killed."""
    bring_up(lab, tmp_path, [CABLE], PLACE, "grpcwire")
    assert sizes(lab) == {largest_here()}
    assert carries(lab, tmp_path) > 1500

    lab.run("lab", "node", "n1", "kill")
    lab.run("lab", "node", "n1", "start")
    lab.wait("up")
    assert sizes(lab) == {largest_here()}

    lab.run("lab", "restart", "r2", "--node", "n1")
    lab.wait("up")
    assert sizes(lab) == {USUAL}
    assert carries(lab, tmp_path) > 1500

    lab.run("lab", "restart", "r2", "--node", "n2")
    lab.wait("up")
    took(lambda: sizes(lab) == {largest_here()}, "as long again")

    lab.apply(write(tmp_path / "edited.yml", topologies([attrs.evolve(CABLE, both={"mtu": 1450})])))
    took(lambda: sizes(lab) == {USUAL}, "without offload")
    assert carries(lab, tmp_path) <= 1500

    lab.apply(write(tmp_path / "edited.yml", topologies([CABLE])))
    took(lambda: sizes(lab) == {largest_here()}, "with offload")
    assert carries(lab, tmp_path) > 1500


@pytest.mark.parametrize("driver", ["vxlan", "veth"])
def test_what_the_kernel_carries_stays_as_it_is(lab: Lab, tmp_path: Path, driver: str) -> None:
    place = PLACE if driver == "vxlan" else dict.fromkeys(PLACE, "n1")
    bring_up(lab, tmp_path, [CABLE], place, "vxlan")
    assert sizes(lab, *set(place.values())) == {USUAL}
