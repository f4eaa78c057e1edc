"""What passes between nodes by real daemons: any kind of frame, whole, in order, once (KNE#731)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshnet.testing.frames import CORPUS
from tests.lab.scenarios.lab import PROGRAMS
from tests.lab.scenarios.nodes import DRIVERS, bring_up
from tests.lab.scenarios.watching import hearing
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

CABLE = Cable(1, "r1:eth1", "r2:eth1", both={"mtu": 1500})
TOO_LONG = ["QinQ full"]
"""The sender's own kernel refuses it, whatever the cable is."""


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_every_kind_of_frame_passes_both_ways(lab: Lab, tmp_path: Path, driver: str, family: str) -> None:
    underlay = ("--underlay-mtu", 1600, "--underlay", family)
    bring_up(lab, tmp_path, [CABLE], {"r1": "n1", "r2": "n2"}, driver, *underlay)
    for sender, receiver in (("r1", "r2"), ("r2", "r1")):
        assert lab.pings(sender, CABLE.addresses[sender == "r1"])  # what was just made opens a moment after carrier
        with hearing(lab, receiver, "eth1") as heard:
            assert sent(lab, sender) == TOO_LONG
            assert lab.pings(sender, CABLE.addresses[sender == "r1"]), "what was sent before that has come"
        assert heard.told["frames"] == [frame.name for frame in CORPUS if frame.name not in TOO_LONG]


def sent(lab: Lab, pod: str) -> list[str]:
    """Send one of each kind from a pod; return the names of those that were refused."""
    refused: list[str] = json.loads(
        lab.exec(pod, lab.python, "-c", (PROGRAMS / "frames.py").read_text(), "send", "eth1")
    )
    return refused
