"""A firewall between nodes that lets daemons through, and not what a driver sends itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.lab.scenarios.lab import eventually
from tests.lab.scenarios.nodes import bring_up
from tests.lab.scenarios.watching import flooding
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

CABLE = Cable(1, "r1:eth1", "r2:eth1")
FIREWALL = "table inet firewall { chain input { type filter hook input priority filter; udp dport 51111 drop; }; }"
SET_UP = f'from meshnet_vxlan.nftables import Nft; Nft().run("{FIREWALL}")'


def frames(lab: Lab) -> list[dict[str, Any]]:
    """Return what doctor says of the links, beside how many are in which state."""
    told = json.loads(lab.run("doctor", "-o", "json", code=None).stdout)
    return [finding for finding in told if finding["area"] == "links" and finding["about"] != "all"]


def test_doctor_tells_of_a_link_that_is_up_and_by_which_nothing_arrives(lab: Lab, tmp_path: Path) -> None:
    bring_up(lab, tmp_path, [CABLE], {"r1": "n1", "r2": "n2"}, "vxlan")
    with flooding(lab, "r1", CABLE.addresses[1]):
        eventually(lambda: [one["outcome"] for one in frames(lab)] == ["ok"], "doctor finds that all arrives", 30)
        lab.in_box(f"ip netns exec n2 {lab.python} -c '{SET_UP}'")
        eventually(lambda: [one["outcome"] for one in frames(lab)] == ["fail"], "doctor finds what does not", 30)
        (wrong,) = frames(lab)
    assert lab.links()[1]["state"] == "Up"
    assert wrong["about"] == "vxlan n1 to n2"
    assert "default/r1:eth1 to default/r2:eth1" in wrong["told"]
