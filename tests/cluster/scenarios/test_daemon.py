"""A node's daemon is killed, deleted and away: links go on, and what comes meanwhile waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios import daemons, traces
from tests.cluster.scenarios.space import APART, CABLE
from tests.cluster.scenarios.traffic import pinging
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.scenarios.space import Space

SAME_NODE = Cable(2, "r1:eth2", "r3:eth1")
PLACES = {**APART, "r3": "n1"}
GONE = {
    "killed": lambda space: daemons.kill(space.cluster.nodes["n1"]),
    "deleted": lambda space: daemons.delete(space.cluster, "n1"),
}


def flaps(space: Space) -> list[int]:
    """How often carrier has come or gone at each end."""
    ends = (("r1", "eth1"), ("r2", "eth1"), ("r1", "eth2"), ("r3", "eth1"))
    return [space.carrier_changes(*end) for end in ends]


@pytest.mark.parametrize("go", GONE.values(), ids=GONE)
def test_links_lose_nothing_when_the_daemon_goes(space: Space, go: Callable[[Space], None]) -> None:
    space.wire(CABLE, SAME_NODE, places=PLACES)
    before = flaps(space)

    with pinging(space, "r1", CABLE.addresses[1]) as far, pinging(space, "r1", SAME_NODE.addresses[1]) as near:
        go(space)
        space.start({"r4": "n1"})
        space.wait_running("r4")

    assert (far.lost, near.lost) == (0, 0)
    assert flaps(space) == before


def message(space: Space, pod: str) -> str:
    """What the kubelet last said of a sandbox that could not be made."""
    found = space.get("events", f"--field-selector=involvedObject.name={pod},reason=FailedCreatePodSandBox")["items"]
    return str(found[-1]["message"]) if found else ""


def test_with_the_daemon_away_links_stay_pods_go_and_new_ones_wait_for_it(space: Space) -> None:
    more, last = Cable(3, "r1:eth3", "r4:eth1"), Cable(4, "r1:eth4", "r5:eth1")
    space.declare(CABLE, SAME_NODE, more, last)
    space.start({**PLACES, "r5": "n1"})
    space.wait_ready("r2", "r3", "r5")
    space.wait_running("r1", "r2", "r3", "r5")
    before = flaps(space)

    with pinging(space, "r1", CABLE.addresses[1]) as far, pinging(space, "r1", SAME_NODE.addresses[1]) as near:
        with daemons.away(space.cluster, "n1"):
            space.start({"r4": "n1"})
            space.delete("pod/r5")
            wait_for(lambda: message(space, "r4") != "", "the kubelet to tell that r4 has no sandbox")
            said = message(space, "r4")
        space.wait_running("r4")
        space.wait_linked(more)

    assert "`meshnet cni uninstall`" in said
    assert (far.lost, near.lost) == (0, 0)
    assert flaps(space) == before
    # its end was heard of by nobody
    wait_for(lambda: not any("/r5" in text for text in traces.of(space.cluster.nodes["n1"], space)), "r5 to be gone")
