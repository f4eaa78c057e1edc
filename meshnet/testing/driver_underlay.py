"""Conformance of links between nodes: what the underlay carries of them, loses of them, and learns of the nodes."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from meshnet.driver import Scope
from meshnet.driver.calls import is_reason
from meshnet.errors import LinkError
from meshnet.testing.driver_base import DriverTestBase
from meshnet.testing.packets import is_fragment, neighbour_question
from meshnet.testing.passing import SILENCE_S, assert_both_ways, comes_to_pass, lost, own_frame, raw, settle
from meshnet.testing.traffic import captured

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.model.topology import Endpoint
    from meshnet.testing.cable import Cable
    from meshnet.testing.cluster import Cluster

RETURN_S = 15.0
"""How long a driver may take to carry on when its underlay is back."""
OWN_ADVERTS_S = 1.5
"""How long after an interface is up the kernel may wait before it tells its neighbours of it."""


class UnderlayTests(DriverTestBase):
    """See `meshnet.testing.drivers.DriverTests`."""

    @pytest.mark.kernel
    @pytest.mark.parametrize("mtu", [1500, 9000])
    def test_the_largest_mtu_fits_the_underlay(self, mtu: int) -> None:
        """A frame of exactly the size that `mtu_limit` allows passes, and nothing is fragmented on the way."""
        self._only_if(Scope.BETWEEN_NODES in self._tested_scopes(), "links between nodes")
        with self._cluster(mtu) as cluster:
            cable = cluster.cable(mtu=cluster.largest_mtu)
            cable.patch()
            settle(cable)
            assert cable.near.mtu == cable.far.mtu == cluster.largest_mtu

            with captured(cluster.underlay, "n1") as out, captured(cluster.underlay, "n2") as back:
                assert_both_ways(cable, cluster.largest_mtu)
            assert [frame.hex() for frame in (*out, *back) if is_fragment(frame)] == []

    @pytest.mark.kernel
    def test_the_nodes_keep_out_of_the_link(self, cluster: Cluster) -> None:
        """Pods hear pods: no node sends a frame of its own, or answers one, not even as an IPv6 router."""
        for bench in cluster.benches:
            bench.node.forward_ipv6()
        cable = cluster.cable()
        if self._direct:
            cable.patch()  # else there is nothing to listen at
        ends = [(end.pod, end.endpoint.interface) for end in cable.ends]
        with captured(*ends[0]) as near, captured(*ends[1]) as far:
            cable.patch()
            settle(cable)
            time.sleep(OWN_ADVERTS_S)
            _ask_for_nodes(cluster, cable)

        pods = {raw(cable.near.mac), raw(cable.far.mac)}
        assert [heard.hex(" ") for heard in (*near, *far) if heard[6:12] not in pods] == []

    @pytest.mark.kernel
    def test_traffic_returns_with_the_underlay(self, cluster: Cluster) -> None:
        """A node's cable is out for a while; its streams end, and none can be opened."""
        cable = cluster.cable()
        cable.patch()
        settle(cable)

        cluster.cut("n2")
        assert lost(cable.near, cable.far, [own_frame(cable.near, cable.far)]), "passes by another way"
        cluster.mend("n2")

        assert comes_to_pass(cable, RETURN_S), f"nothing passes {RETURN_S:g} s after the underlay is back"
        assert _comes_true(lambda: not _failed(cluster), RETURN_S), f"still told: {_failed(cluster)}"

    @pytest.mark.kernel
    def test_a_peer_that_cannot_be_reached_holds_nothing_up(self, cluster: Cluster) -> None:
        """It can be patched to, or there is a reason; then unpatched; and it all works when the peer is back."""
        cable = cluster.cable()
        cluster.cut("n2")
        for _ in range(2):
            for end in cable.ends:
                with contextlib.suppress(LinkError):
                    cable.patch_end(end)
            cable.unpatch()
        cluster.mend("n2")

        cable.patch()
        assert comes_to_pass(cable, RETURN_S)

    @pytest.mark.kernel
    def test_a_failed_path_is_told(self, cluster: Cluster) -> None:
        """By a reason within the time that the test class gives; and its return. Nothing is told without cause."""
        cable = cluster.cable()
        cable.patch()
        settle(cable)
        assert _failed(cluster) == {}
        self._only_if(self.tells_within_s is not None, "that it tells of its path")
        patience_s = self.tells_within_s or 0.0

        cluster.cut("n2")
        assert _comes_true(lambda: bool(_failed(cluster)), patience_s), "the path failed, and nobody tells"
        for endpoint, reason in _failed(cluster).items():
            assert is_reason(reason), f"{endpoint}: reason {reason!r} is no CamelCase word of at most 63 characters"
        cluster.mend("n2")

        assert comes_to_pass(cable, RETURN_S)
        assert _comes_true(lambda: not _failed(cluster), patience_s), f"still told: {_failed(cluster)}"


def _ask_for_nodes(cluster: Cluster, cable: Cable) -> None:
    """Have each pod ask for the addresses of the nodes, and wait for answers that must not come."""
    for sender, receiver in ((cable.near, cable.far), (cable.far, cable.near)):
        for bench in cluster.benches:
            address = cluster.underlay.facts(bench.node).address
            own = next(own for own in sender.addresses if (":" in own) == (":" in address))
            assert lost(sender, receiver, [neighbour_question(raw(sender.mac), own, address)]) == {}
    time.sleep(SILENCE_S)


def _failed(cluster: Cluster) -> dict[Endpoint, str]:
    """Return the ends whose drivers told last that their paths have failed, and why."""
    told = {endpoint: reason for bench in cluster.benches for endpoint, reason in bench.changes}
    return {endpoint: reason for endpoint, reason in told.items() if reason}


def _comes_true(condition: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
