"""Who is not a wire's far end neither reads, injects, nor takes the wire down, while it carries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.lab.scenarios.lab import PROGRAMS
from tests.lab.scenarios.nodes import bring_up
from tests.lab.scenarios.watching import events, flooding, hearing
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

WIRE = Cable(1, "r1:eth1", "r2:eth1")
OTHER = Cable(2, "r2:eth2", "r3:eth1")
"""By it the third node has a session and a certificate that are good."""
PLACE = {"r1": "n1", "r2": "n2", "r3": "n3"}
STATE = "/run/meshnet/nodes/{}/state/identity"


def intrude(lab: Lab, caller: str, identity: str, name: str) -> dict[str, Any]:
    """Have a node call n2 as the far end of the wire, with some key and name; how it ended."""
    text = (PROGRAMS / "intrude.py").read_text()
    called = ("n2", "10.99.0.2", f"{STATE.format('n2')}/current.pem")
    told: dict[str, Any] = json.loads(lab.exec(caller, lab.python, "-c", text, *called, identity, name))
    return told


def test_a_wire_that_carries_is_its_two_nodes_alone(lab: Lab, tmp_path: Path) -> None:
    bring_up(lab, tmp_path, [WIRE, OTHER], PLACE, "grpcwire")
    with (
        hearing(lab, "r2", "eth1") as heard,
        events(lab, "r2", tmp_path) as watch,
        flooding(lab, "r1", WIRE.addresses[1]) as flood,
    ):
        stranger = intrude(lab, "n3", "/run/stranger", "n1")
        third = intrude(lab, "n3", STATE.format("n3"), "n3")

    assert (stranger["code"], stranger["read"]) == ("UNAVAILABLE", 0)
    assert (third["code"], third["read"]) == ("PERMISSION_DENIED", 0)
    assert third["told"].startswith("StreamRefused: node n3, driver grpcwire")
    (node,) = (node for node in lab.get("nodes") if node["name"] == "n2")
    assert node["refused"]["StreamRefused"] == 1
    assert heard.told["frames"] == []
    assert flood.lost == 0
    assert [event for event in watch.all() if event["kind"] != "started"] == []


def test_the_same_frames_from_its_far_end_arrive(lab: Lab, tmp_path: Path) -> None:
    """Proof that the other test would hear them."""
    bring_up(lab, tmp_path, [WIRE], {"r1": "n1", "r2": "n2"}, "grpcwire")
    lab.run("lab", "node", "n1", "kill")  # it would open its own stream anew, which ends the other at any moment
    with hearing(lab, "r2", "eth1") as heard:
        intrude(lab, "n1", STATE.format("n1"), "n1")
    assert "LLDP" in heard.told["frames"]
    lab.run("lab", "node", "n1", "start")
    lab.wait("up")
    assert lab.pings("r1", WIRE.addresses[1])
