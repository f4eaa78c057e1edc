"""A rolling upgrade, under traffic, to daemons that speak one version of the protocol more."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

from meshnet.model.session import PROTOCOL
from tests.cluster.scenarios.conftest import UPGRADED
from tests.cluster.scenarios.traffic import pinging
from tests.lab.scenarios.wiring import Cable

if TYPE_CHECKING:
    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.scenarios.space import Space

# With drivers and MTUs of their own: another default is an edit of each link that relies on it.
KERNEL = Cable(1, "r1:eth1", "r2:eth1", both={"driver": "vxlan", "mtu": 1450})
NEAR = Cable(2, "r1:eth2", "r3:eth1", both={"mtu": 1450})
STREAM = Cable(3, "r1:eth3", "r2:eth3", both={"driver": "grpcwire", "mtu": 1500})
PLACES = {"r1": "n1", "r2": "n2", "r3": "n1"}
STREAM_S = 5.0
"""For how long a stream may be broken each time that one of its two daemons is replaced."""
ROLLOUT_S = 240


def protocols(cluster: Cluster) -> set[int]:
    """The newest version that each node's daemon speaks, by what it last wrote."""
    return {each["spec"]["protocol"][1] for each in cluster.get("meshnodes")["items"]}


def flaps(space: Space) -> list[int]:
    ends = [end.split(":") for cable in (KERNEL, NEAR, STREAM) for end in (cable.a, cable.b)]
    return [space.carrier_changes(pod, interface) for pod, interface in ends]


def test_links_stay_while_old_and_new_daemons_work_side_by_side(space: Space) -> None:
    space.wire(KERNEL, NEAR, STREAM, places=PLACES)
    before, seen = flaps(space), protocols(space.cluster)
    oldest, newest = PROTOCOL[1], PROTOCOL[1] + 1
    assert seen == {oldest}

    with ExitStack() as stack:
        kernel, near, stream = (stack.enter_context(pinging(space, "r1", cable.addresses[1]))
                                for cable in (KERNEL, NEAR, STREAM))  # fmt: skip
        space.cluster.apply_directory(UPGRADED)
        mixed = False
        command = space.cluster.command("rollout", "status", "daemonset/meshnet", "--namespace=meshnet")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as rollout:
            while rollout.poll() is None:
                mixed = mixed or protocols(space.cluster) == {oldest, newest}
        assert rollout.returncode == 0

    assert mixed
    assert protocols(space.cluster) == {newest}
    assert (kernel.lost, near.lost) == (0, 0)
    assert stream.lost_s < 2 * STREAM_S
    assert flaps(space) == before
    for cable in (KERNEL, NEAR, STREAM):
        space.wait_linked(cable)
