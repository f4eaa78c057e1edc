"""A bench leaves nothing, however its driver fails."""

import os
import threading

import pytest

from meshnet.driver import Scope
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
