"""Conformance of links between nodes: peers that are not known yet, change, move and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.errors import LinkError
from meshnet.testing.driver_base import DriverTestBase
from meshnet.testing.holdings import devices
from meshnet.testing.passing import assert_both_ways, assert_goes_only, settle

if TYPE_CHECKING:
    from meshnet.testing.cable import Cable
    from meshnet.testing.cluster import Cluster
    from meshnet.testing.ends import End


class PeerTests(DriverTestBase):
    """See `meshnet.testing.drivers.DriverTests`."""

    @pytest.mark.kernel
    def test_a_peer_that_is_not_known_yet_does_no_harm(self, cluster: Cluster) -> None:
        """No receive id, no offer: a reason and nothing made, or a patch that works once they are known."""
        cable = cluster.cable()
        cable.peer_gone = True
        network = cluster.network()
        try:
            cable.patch_end(cable.ends[0])
        except LinkError:
            assert cluster.network() == network

        cable.peer_gone = False
        cable.patch()
        settle(cable)

        assert_both_ways(cable)

    @pytest.mark.kernel
    @pytest.mark.parametrize(("node", "uid"), [("n2", 1), ("n2", 2), ("n3", 2)])
    def test_a_running_link_can_be_pointed_at_another_peer(self, cluster: Cluster, node: str, uid: int) -> None:
        """An edited Topology: another pod, on the same node or a third, by the same uid or another."""
        cable = cluster.cable()
        other = cluster.on(node).end("r3:eth1", uid=uid, host=3, mtu=cable.mtu)
        before = devices(cluster)
        _start(cable)
        left = cable.ends[1]

        turned = cluster.join(cable.ends[0], other, uid=uid)
        _start(turned)
        assert_goes_only(turned.near, turned.far, left.station)
        cable.unpatch_end(left)
        _assert_goes_on(turned)

        turned.unpatch()
        assert devices(cluster) == before

    @pytest.mark.kernel
    @pytest.mark.parametrize("node", ["n2", "n3"], ids=["in its place", "on another node"])
    def test_a_peer_may_come_back_in_a_new_sandbox(self, cluster: Cluster, node: str) -> None:
        """With the next epoch, on another node with another receive id, too; the old one's end harms nothing."""
        cable = cluster.cable()
        old = cable.ends[1]
        renewed = _renewed(cluster, old, node, mtu=cable.mtu)
        before = devices(cluster)
        _start(cable)

        again = cluster.join(cable.ends[0], renewed)
        _start(again)
        cable.unpatch_end(old)
        _assert_goes_on(again)

        again.unpatch()
        assert devices(cluster) == before

    @pytest.mark.kernel
    def test_an_older_sandbox_leaves_what_a_newer_one_has(self, cluster: Cluster) -> None:
        """What is made for an endpoint belongs to its newest sandbox: a late unpatch, by a new instance, too."""
        cable = cluster.cable()
        old = cable.ends[0]
        renewed = _renewed(cluster, old, "n1", mtu=cable.mtu)
        before = devices(cluster)
        _start(cable)
        again = cluster.join(renewed, cable.ends[1])
        _start(again)

        cable.unpatch_end(old)
        _assert_goes_on(again)
        cluster.restart()
        again.patch()
        old.bench.call("unpatch", old.link)
        _assert_goes_on(again)

        again.unpatch()
        assert devices(cluster) == before

    @pytest.mark.kernel
    def test_equal_names_in_two_namespaces_do_not_mix(self, cluster: Cluster) -> None:
        """The same pods, interfaces and uid, in namespaces of two users."""
        ours, theirs = cluster.cable(), cluster.cable(namespace="theirs")
        for cable in (ours, theirs):
            _start(cable)

        for cable, other in ((ours, theirs), (theirs, ours)):
            assert_goes_only(cable.near, cable.far, other.near, other.far)
            assert_goes_only(cable.far, cable.near, other.near, other.far)

        ours.unpatch()
        assert_both_ways(theirs)

    @pytest.mark.kernel
    def test_a_pod_has_links_to_many_nodes(self, cluster: Cluster) -> None:
        """Each leads to its own peer."""
        second = cluster.cable()
        near = cluster.on("n1").end("r1:eth2", uid=2, mtu=second.mtu)
        far = cluster.on("n3").end("r3:eth1", uid=2, host=2, mtu=second.mtu)
        third = cluster.join(near, far, uid=2)
        for cable in (second, third):
            _start(cable)

        assert_goes_only(second.near, second.far, third.far)
        assert_goes_only(third.near, third.far, second.far)
        assert_goes_only(second.far, second.near, third.near)
        assert_goes_only(third.far, third.near, second.near)


def _start(cable: Cable) -> None:
    cable.patch()
    settle(cable)


def _assert_goes_on(cable: Cable) -> None:
    """Check that traffic passes; a driver that is told of its peer by the peer may need a moment."""
    settle(cable)
    assert_both_ways(cable)


def _renewed(cluster: Cluster, old: End, node: str, *, mtu: int) -> End:
    name = f"{old.endpoint.pod}:{old.endpoint.interface}"
    end = cluster.on(node).end(name, host=9, mtu=mtu, new=True)
    end.epoch = old.epoch + 1
    return end
