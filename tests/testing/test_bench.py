"""A bench leaves nothing, however its driver fails."""

import os
import threading

import pytest

from meshnet.driver import LinkError, Scope
from meshnet.testing.bench import Bench
from tests.testing.hop import Hop


class Unmakeable(Hop):
    def __init__(self):
        raise RuntimeError("not here")


@pytest.mark.kernel
def test_a_driver_that_cannot_be_made_leaves_nothing(meshnet_node):
    before = len(os.listdir("/proc/self/fd")), threading.active_count()

    with pytest.raises(RuntimeError, match="not here"), Bench.running(meshnet_node, Unmakeable, Scope.SAME_NODE):
        pass

    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


@pytest.mark.kernel
@pytest.mark.parametrize("right", [0, 1], ids=["at first", "again"])
def test_why_a_driver_does_not_start_is_told(meshnet_node, right):
    """And not that it cannot be stopped: what is let go of there it never had."""

    class Unstartable(Hop):
        left = right

        async def start(self, ctx):
            if not Unstartable.left:
                raise LinkError("NoUnderlay", "no way to others here")
            Unstartable.left -= 1
            self.netlink = ctx.netlink

        async def stop(self):
            del self.netlink

    with (
        pytest.raises(LinkError, match="no way to others here"),
        Bench.running(meshnet_node, Unstartable, Scope.SAME_NODE) as bench,
    ):
        bench.restart()


@pytest.mark.kernel
def test_a_pod_of_any_namespace_can_come_back_in_a_new_sandbox(meshnet_node):
    with Bench.running(meshnet_node, Hop, Scope.SAME_NODE) as bench:
        old = bench.end("r1:eth1", namespace="theirs")
        new = bench.end("r1:eth1", namespace="theirs", new=True)

        assert old.pod is not new.pod
        assert meshnet_node.pod_of(new.endpoint) is new.pod
