"""Entering a pod again by its path, which may have come to mean another namespace."""

from __future__ import annotations

import os

import attrs
import pytest

from meshnet.errors import RestartPod
from meshnet.netlink.netns import anonymous_netns
from meshnet.reconcile.sandbox import netns_id
from tests.reconcile.made import sandbox

pytestmark = pytest.mark.kernel


def test_a_path_that_came_to_mean_another_namespace_is_not_entered(node_ns: int) -> None:
    first, second = anonymous_netns(), anonymous_netns()
    try:
        box = attrs.evolve(sandbox("r1"), netns=f"/proc/self/fd/{second}", netns_id=netns_id(first))
        with pytest.raises(RestartPod, match="another network namespace"), box.enter():
            pass
        box.netns_id = netns_id(second)
        with box.enter() as inside:
            assert netns_id(inside.netns_fd) == netns_id(second)
    finally:
        os.close(first)
        os.close(second)
