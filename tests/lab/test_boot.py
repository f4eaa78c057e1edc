"""What boots the machine cannot be started in a lab. Only whether it may be executed is asked: nothing here does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.topologies import pair, pod

pytestmark = pytest.mark.lab

INIT = Path("/sbin/init")


@pytest.mark.skipif(INIT.resolve().name not in {"init", "systemd"}, reason="another init, or none")
def test_init_of_the_machine_is_no_program_in_a_pod_or_on_a_node(lab):
    covered = pod("r1", "sleep", "1000")
    covered["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/new-at-the-root"}]
    covered["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    lab.ok("lab", "up", "-", stdin=pair(covered, pod("r2")))
    for place in ("r1", "r2", "n1"):
        said = lab.sh(place, f"for each in {INIT} {INIT.resolve()}; do test -x $each && echo $each; done; echo told")
        assert said == "told"
