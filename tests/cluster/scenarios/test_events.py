"""What a user hears of by events: of each thing once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios.space import APART
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from tests.cluster.scenarios.space import Space

TOO_LARGE = Cable(1, "r1:eth1", "r2:eth1", both={"mtu": 9000, "driver": "vxlan"})
DIFFERENT = Cable(2, "r1:eth2", "r2:eth2", a_only={"mtu": 1400}, b_only={"mtu": 1300})
GOOD = Cable(3, "r1:eth3", "r2:eth3")


def told(space: Space, name: str) -> list[tuple[str, int]]:
    """Reasons of the events of a Topology, and how often each was told."""
    fields = f"--field-selector=involvedObject.kind=Topology,involvedObject.name={name}"
    return sorted((each["reason"], each.get("count") or 1) for each in space.get("events", fields)["items"])


def test_each_link_that_cannot_be_is_told_of_once_at_each_end(space: Space) -> None:
    space.declare(TOO_LARGE, DIFFERENT, GOOD)
    space.start(APART)

    expected = [("MtuTooLarge", 1), ("PeerMismatch", 1)]
    for name in APART:
        wait_for(lambda name=name: told(space, name) == expected, f"events of {name}", 30)  # type: ignore[misc]
    space.wait_linked(GOOD)
    # whatever else is written of the pods
    space.declare(TOO_LARGE, DIFFERENT, attrs.evolve(GOOD, both={"down": True}))
    wait_for(lambda: space.status("r1")["links"][2]["reason"] == "Unplugged", "the good link to be down", 30)
    space.declare(TOO_LARGE, DIFFERENT, GOOD)
    space.wait_linked(GOOD)
    assert [told(space, name) for name in APART] == [expected, expected]


def test_a_pod_that_runs_tells_nothing(space: Space) -> None:
    space.wire(GOOD, places=APART)
    assert [told(space, name) for name in APART] == [[], []]
