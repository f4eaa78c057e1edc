"""A node that is not reached as its peers were told says so; where a new start helps, the daemon ends."""

from __future__ import annotations

import attrs
import pytest

from meshnet.daemon.underlay_watch import UnderlayWatch
from meshnet.driver.link import Underlay
from meshnet.errors import InvalidObject, MeshnetError, Problem

USED = Underlay(1500, 4, "10.0.0.1", 2)


class Node:
    """What a daemon that starts now finds."""

    def __init__(self) -> None:
        self.now: Underlay | InvalidObject = USED

    def find(self) -> Underlay:
        if isinstance(self.now, InvalidObject):
            raise self.now
        return self.now


@pytest.fixture
def node():
    return Node()


@pytest.fixture
def watch(node):
    return UnderlayWatch(node.find, USED)


@pytest.mark.parametrize("changes", [{}, {"mtu": 9000}], ids=["as it was", "a larger MTU"])
def test_what_harms_nobody_ends_nothing(node, watch, caplog, changes):
    node.now = attrs.evolve(USED, **changes)
    for _ in range(5):
        watch.look()
    assert caplog.text == ""


@pytest.mark.parametrize("changes", [{"address": "10.0.0.2"}, {"device": 4}, {"mtu": 1400}])
def test_a_node_that_moved_starts_anew_once_that_lasts(node, watch, changes):
    for _ in range(3):
        node.now = attrs.evolve(USED, **changes)
        watch.look()
        node.now = USED
        watch.look()
    node.now = attrs.evolve(USED, **changes)
    watch.look()
    with pytest.raises(MeshnetError, match=r"was 10\.0\.0\.1 \(interface 2, MTU 1500\) and is 10\.0\.0\..*start anew"):
        watch.look()


def test_where_a_new_start_would_fail_it_is_said_once(node, watch, caplog):
    node.now = InvalidObject("settings", [Problem("HOST_IP", "10.0.0.1", "an address of this node")])
    for _ in range(5):
        watch.look()
    assert caplog.text.count("its peers may not reach this node: settings: HOST_IP") == 1
    node.now = USED
    watch.look()
    node.now = InvalidObject("settings", [Problem("HOST_IP", "10.0.0.1", "an address of this node")])
    watch.look()
    assert caplog.text.count("its peers may not reach this node") == 2
