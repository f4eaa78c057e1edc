"""The manifests of one node, on several: every link pings, by whichever driver."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.nodes import DRIVERS

if TYPE_CHECKING:
    from tests.lab.scenarios.lab import Lab

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(
    ("nodes", "example"),
    [
        (2, "2node.yml"),
        (2, "3node.yml"),
        (3, "3node.yml"),
        (3, "3node-parallel.yml"),
        (2, "statefulset.yml"),
        (3, "dual-stack.yml"),
        (5, "5node.yml"),
    ],
)
@pytest.mark.parametrize("underlay", ["ipv4"])
def test_every_link_pings(lab: Lab, driver: str, nodes: int, example: str, underlay: str) -> None:
    prefer = ("--set", f"MESHNET_PREFER_BETWEEN_NODES={driver}")
    told = lab.run("lab", "run", "--nodes", nodes, "--underlay", underlay, *prefer, EXAMPLES / example).stdout
    rows = [line for line in told.splitlines() if " Up " in line]
    across = [line for line in rows if "the pods are on two nodes" in line]
    assert across
    for line in rows:
        assert (driver if line in across else "veth") in line.split()


@pytest.mark.parametrize("driver", DRIVERS)
def test_every_link_pings_over_ipv6(lab: Lab, driver: str) -> None:
    test_every_link_pings(lab, driver, 3, "3node.yml", "ipv6")
