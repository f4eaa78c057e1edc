"""What kubectl tells of a pod's links, from its Topology alone to its end."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.cluster.scenarios.space import CABLE, LIMIT, READY

if TYPE_CHECKING:
    from tests.cluster.scenarios.space import Space

WAIT_S = 120
NOBODY = {"NAME": "r1", "READY": "", "LINKS": "", "NODE": ""}
ALONE = {"NAME": "r1", "READY": "False", "LINKS": "0/1", "NODE": "n1"}
GONE = {"READY": "False", "LINKS": "", "NODE": ""}
LINKED = {"NAME": "r1", "READY": "True", "LINKS": "1/1", "NODE": "n1"}


def unplug(space: Space, pod: str, *, down: bool) -> None:
    (link,) = space.get("topology", pod)["spec"]["links"]
    patch = {"spec": {"links": [{**link, "down": down}]}}
    space.kubectl("patch", "topology", pod, "--type=merge", "--patch", json.dumps(patch))


def test_the_columns_tell_the_truth_at_each_step(space: Space) -> None:
    space.declare(CABLE)
    assert space.columns("r1") == NOBODY

    space.start({"r1": "n1"})
    space.wait_running("r1")
    assert space.columns("r1") == ALONE
    assert space.reason("r1") == "PeerNotRunning"
    wait = space.cluster.command("wait", READY, "topology/r1", f"--namespace={space.name}", LIMIT)
    with subprocess.Popen(wait, stdout=subprocess.DEVNULL) as waiting:
        space.start({"r2": "n2"})
        assert waiting.wait(WAIT_S) == 0
    assert space.columns("r1") == LINKED
    space.wait_ready("r2")
    assert space.columns("r2") == {**LINKED, "NAME": "r2", "NODE": "n2"}

    unplug(space, "r2", down=True)
    space.wait_carrier("r1", "0")
    space.wait_reason("r1", "Unplugged")
    # as the user wants it
    assert space.columns("r1") == LINKED
    unplug(space, "r2", down=False)
    space.wait_reason("r1", "")
    space.wait_linked()

    space.delete("pod/r2")
    space.wait_columns("r2", **GONE, NAME="r2")
    space.wait_columns("r1", **ALONE)
    space.delete("pod/r1")
    space.wait_columns("r1", **GONE, NAME="r1")
