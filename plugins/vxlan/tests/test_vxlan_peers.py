"""What a peer's node told, checked before it gets anywhere near the kernel; and names."""

import attrs
import pytest
from meshnet_vxlan.messages import Remote
from meshnet_vxlan.owned import device_mac, device_names
from meshnet_vxlan.peers import remote_of

from meshnet.driver import LinkError, Peer, Underlay
from meshnet.model.names import pod_mac, port_mac
from meshnet.model.topology import Endpoint

LOCAL = Endpoint("default", "r1", "eth1")
HERE = Underlay(1500, 4, "192.0.2.1", 2)
PEER = Peer("n2", None, 1, receive_id=77, node_offer={"address": "192.0.2.2", "port": 4790})


class End:
    local = LOCAL
    receive_id = 5


def remote(underlay=HERE, **offer):
    return remote_of(End, attrs.evolve(PEER, node_offer={**PEER.node_offer, **offer}), underlay)


def test_where_the_frames_go_is_what_the_peer_chose():
    assert remote() == Remote("192.0.2.2", 77, 4790)
    assert remote(Underlay(1500, 6, "2001:db8::1"), address="2001:DB8:0::2") == Remote("2001:db8::2", 77, 4790)


def test_a_peer_that_tells_no_port_has_the_usual_one():
    assert remote_of(End, attrs.evolve(PEER, node_offer={"address": "192.0.2.2"}), HERE).port == 51111


@pytest.mark.parametrize(
    "address", ["", "n2.example", "192.0.2.2/24", 3221225986, None, "224.0.0.1", "0.0.0.0", "fe80::2%eth0", "ff02::1"]
)
def test_an_address_that_is_none_is_told(address):
    with pytest.raises(LinkError, match="default/r1:eth1: node n2 offers address ") as error:
        remote(address=address)

    assert error.value.reason == "PeerOfferInvalid"


@pytest.mark.parametrize("port", [0, 65536, "51111", 1.5, True, None])
def test_a_port_that_is_none_is_told(port):
    with pytest.raises(LinkError, match=f"node n2 offers port {port!r}; right would be a UDP port, 1 to 65535"):
        remote(port=port)


@pytest.mark.parametrize("peer", [None, PEER])
def test_a_link_of_one_node_is_none_of_its_business(peer):
    class Here(End):
        receive_id = 0

    with pytest.raises(LinkError, match="default/r1:eth1: vxlan links pods of two nodes") as error:
        remote_of(Here, peer, HERE)

    assert error.value.reason == "PeerNotHere"


def test_names_fit_and_differ():
    endpoints = [Endpoint(ns, pod, intf) for ns in ("d", "e") for pod in ("r1", "r2") for intf in ("eth1", "eth2")]
    names = {name for endpoint in endpoints for name in device_names(endpoint)}

    assert len(names) == 16
    assert all(len(name) <= 15 for name in names)
    macs = {device_mac(name) for name in names}
    others = {pod_mac("d", "r1", "eth1"), port_mac("c", "eth1")}
    assert {int(mac[:2], 16) & 0xF for mac in macs} == {0xA}
    assert {int(mac[:2], 16) & 0xF for mac in others} == {0x2, 0x6}
