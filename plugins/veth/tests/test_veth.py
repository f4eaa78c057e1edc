"""Driver veth: conformance, and what it refuses."""

import asyncio

import pytest
from meshnet_veth import VethDriver

from meshnet.driver import LinkError, Peer
from meshnet.model.topology import Endpoint
from meshnet.testing.drivers import DriverTests


class TestVeth(DriverTests):
    driver_class = VethDriver


class End:
    local = Endpoint("default", "r1", "eth1")


@pytest.mark.parametrize(
    ("peer", "said"),
    [(None, "the peer is an interface of the node"), (Peer("n2", None, 1), "the peer is on node n2")],
)
def test_a_peer_that_is_not_here_is_a_reason(peer, said):
    with pytest.raises(LinkError, match=f"default/r1:eth1: veth links two pods of one node; {said}") as error:
        asyncio.run(VethDriver().patch(End, peer))

    assert error.value.reason == "PeerNotHere"
