"""Garbage collection: a runtime gives the list of what it has, and the rest goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.cluster.machine.commands import wait_for
from tests.cluster.scenarios import traces
from tests.cluster.scenarios.space import CABLE

if TYPE_CHECKING:
    from tests.cluster.machine.node import Node
    from tests.cluster.scenarios.space import Space

LIST = "/etc/cni/net.d/00-meshnet.conflist"
PLUGIN = "/opt/cni/bin/meshnet"
RESULTS = "/var/lib/cni/results"
SAME = {"r1": "n1", "r2": "n1"}


def attachments(node: Node) -> list[dict[str, str]]:
    """What the runtime keeps of its attachments to the network, as libcni writes it: the full list."""
    found = [json.loads(path.read_text()) for path in node.path(RESULTS).iterdir()]
    network = json.loads(node.path(LIST).read_text())["name"]
    return [{"containerID": each["containerId"], "ifname": each["ifName"]}
            for each in found if each["networkName"] == network]  # fmt: skip


def collect(node: Node, valid: list[dict[str, str]]) -> None:
    """Have the plugin collect garbage, with what libcni makes of the network list for it."""
    conflist: dict[str, Any] = json.loads(node.path(LIST).read_text())
    (ours,) = [plugin for plugin in conflist["plugins"] if plugin["type"] == "meshnet"]
    config = {**ours, "cniVersion": "1.1.0", "name": conflist["name"], "cni.dev/valid-attachments": valid}
    command = ("env", "CNI_COMMAND=GC", "CNI_PATH=/opt/cni/bin", PLUGIN)
    assert node.run(*command, stdin=json.dumps(config)) == ""


def test_what_is_in_the_list_stays_and_the_rest_goes(space: Space) -> None:
    space.wire(CABLE, places=SAME)
    node = space.cluster.nodes["n1"]
    full, before = attachments(node), sorted(traces.of(node, space))
    container = space.status("r2")["container_id"]
    assert container in [each["containerID"] for each in full]

    collect(node, full)

    assert sorted(traces.of(node, space)) == before
    space.wait_linked()

    collect(node, [each for each in full if each["containerID"] != container])

    wait_for(lambda: not any("/r2" in text for text in traces.of(node, space)), "what is of r2 to be gone")
    assert any("/r1" in text for text in traces.of(node, space))
    space.wait_carrier("r1", "0")
    # the runtime's own DEL finds nothing, and that is right
    space.delete("pod/r2")
    space.start({"r2": "n1"})
    space.wait_running("r2")
    space.wait_linked()
