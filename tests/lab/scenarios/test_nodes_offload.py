"""With offload a pod's TCP makes frames as long as what carries them takes (BIG TCP), and nowhere longer ones."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import attrs
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
    assert sizes(lab, "n1") == {largest_here()}
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


def test_what_forwards_passes_them_on_whole(lab: Lab, tmp_path: Path) -> None:
    """From another node's pod by a wire, on to one of the same node."""
    onward = attrs.evolve(CABLE, uid=2, a="r2:eth2", b="r3:eth1")
    bring_up(lab, tmp_path, [CABLE, onward], {**PLACE, "r3": "n2"}, "grpcwire")
    lab.exec("r2", "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
    lab.exec("r1", "ip", "route", "add", f"{onward.addresses[0]}/32", "via", CABLE.addresses[1])
    lab.exec("r1", "ip", "route", "add", f"{onward.addresses[1]}/32", "via", CABLE.addresses[1])
    lab.exec("r3", "ip", "route", "add", f"{CABLE.addresses[0]}/32", "via", onward.addresses[0])
    with capturing(lab, "r3", "eth1") as seen:
        assert load(lab, onward, tmp_path, size=64 << 20, sender="r1", receiver="r3") == 64 << 20
    assert seen.told["longest"] > (USUAL if largest_here() > USUAL else 1500)


def test_links_by_vxlan_have_usual_ones(lab: Lab, tmp_path: Path) -> None:
    """The kernel would cut longer ones into packets of MTU size."""
    bring_up(lab, tmp_path, [CABLE], PLACE, "vxlan")
    assert sizes(lab) == {USUAL}
    assert carries(lab, tmp_path) > 1500
