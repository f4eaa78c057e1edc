"""The manifests of one node, on several: every link pings, by whichever driver."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.nodes import DRIVERS, bring_up, prefer
from tests.lab.scenarios.test_cables import END, shape
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from tests.lab.scenarios.lab import Lab

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("underlay", "nodes", "example"),
    [
        ("ipv4", 2, "2node.yml"),
        ("ipv4", 2, "3node.yml"),
        ("ipv4", 3, "3node.yml"),
        ("ipv4", 3, "3node-parallel.yml"),
        ("ipv4", 2, "statefulset.yml"),
        ("ipv4", 3, "dual-stack.yml"),
        ("ipv4", 5, "5node.yml"),
        ("ipv6", 3, "3node.yml"),
    ],
)
def test_every_link_pings(lab: Lab, driver: str, nodes: int, example: str, underlay: str) -> None:
    options = ("--nodes", nodes, "--underlay", underlay, *prefer(driver))
    told = lab.run("lab", "run", *options, EXAMPLES / example).stdout
    rows = [line for line in told.splitlines() if " Up " in line]
    across = [line for line in rows if "the pods are on two nodes" in line]
    assert across
    for line in rows:
        assert (driver if line in across else "veth") in line.split()


def test_an_add_is_one_write_with_all_that_a_peer_needs(lab: Lab, tmp_path: Path) -> None:
    """The pod's node, and an identifier of its own for each link: whatever the number of links, and no write later."""
    cables = [Cable(uid, f"r1:eth{uid}", f"r2:eth{uid}") for uid in range(1, 31)]
    bring_up(lab, tmp_path, cables, {"r1": "n1", "r2": "n2"}, "vxlan")
    for pod in ("r2", "r1"):
        lab.run("lab", "stop", pod)
    (before,) = lab.get("topologies", "r1")
    lab.run("lab", "start", "r1")
    (after,) = lab.get("topologies", "r1")
    time.sleep(2)
    assert lab.get("topologies", "r1") == [after]
    assert int(after["metadata"]["resourceVersion"]) == int(before["metadata"]["resourceVersion"]) + 1
    assert "node" not in before["status"]
    assert (after["status"]["node"], after["status"]["src_ip"]) == ("n1", "10.99.0.1")
    identifiers = {link["receive_id"] for link in after["status"]["links"]}
    assert len(identifiers) == len(cables)
    assert all(identifiers)


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_nodes_and_links_between_them_tell(lab: Lab, tmp_path: Path, driver: str) -> None:
    """meshnet-cni#35, #52: which overlay, which identifiers; and how the nodes stand with each other."""
    bring_up(lab, tmp_path, [Cable(1, "r1:eth1", "r2:eth1")], {"r1": "n1", "r2": "n2"}, driver)
    more: dict[str, type] = {"receive_id": int, **({"driver_counters": dict} if driver == "grpcwire" else {})}
    link = lab.end("r1:eth1")
    assert ("as trusted as the network between the nodes" in link["why"]) == (driver == "vxlan")
    for end in link["endpoints"]:
        shape(end, END | more)
        if driver == "vxlan":
            devices = lab.in_box(f"ip -n {end['node']} -d link show type vxlan")
            assert f"vxlan id {end['receive_id']} " in devices
    for node, peer in zip(lab.get("nodes"), ("n2", "n1"), strict=True):
        assert node["peers"] == {peer: {"contact": "live", "why": ""}}
        assert node["connections"] > 0
        assert node["refused"] == {}
