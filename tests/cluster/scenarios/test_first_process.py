"""A pod's first process finds its interfaces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cluster.machine.images import TOOLS
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from tests.cluster.scenarios.space import Space

LOOK = "ip -o address show; ip -o link show"


def test_interfaces_are_there_with_their_addresses_when_the_first_container_starts(space: Space) -> None:
    """Also the one whose peer is nowhere yet."""
    cables = (Cable(1, "r1:eth1", "r2:eth1"), Cable(2, "r1:eth2", "r3:eth1"), Cable(3, "r1:eth3", "nobody:eth1"))
    space.declare(*cables)
    first = {"name": "first", "image": TOOLS, "imagePullPolicy": "Never", "command": ["sh", "-c", LOOK]}

    space.start({"r2": "n1", "r3": "n2"})
    space.start({"r1": "n1"}, initContainers=[first])
    space.wait_running("r1")

    said = space.kubectl("logs", "r1", "--container=first").splitlines()
    for number, cable in enumerate(cables, start=1):
        shown = [line for line in said if f" eth{number}" in line]
        assert any(f"inet {cable.addresses[0]}/24 " in line for line in shown), said
        assert any("UP" in line.partition("<")[2].partition(">")[0].split(",") for line in shown), said
