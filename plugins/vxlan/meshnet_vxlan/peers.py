"""What the nodes tell each other: the address and the UDP port of each; and what a peer told, checked."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from meshnet.driver import LinkError
from meshnet_vxlan.messages import Remote, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from meshnet.driver import LinkEnd, Peer, Underlay

PORT = 51111
"""Not that of any other user of VXLAN."""
PORT_SETTING = "MESHNET_VXLAN_PORT"
_HIGHEST_PORT = 65535


def port_setting(settings: Mapping[str, str]) -> int:
    """Return the UDP port that is set for this node. Raises LinkError ``InvalidSetting``."""
    given = settings.get("port", str(PORT))
    if given.isascii() and given.isdecimal() and 1 <= int(given) <= _HIGHEST_PORT:
        return int(given)
    right = f"a UDP port, 1 to {_HIGHEST_PORT}"
    raise LinkError("InvalidSetting", f"{PORT_SETTING}: {given!r}: {right}", retry=False)


def node_offer(underlay: Underlay, port: int) -> dict[str, Any]:
    """Return what peers need to know of this node."""
    return {"address": underlay.address, "port": port}


def remote_of(link: LinkEnd, peer: Peer | None, underlay: Underlay) -> Remote:
    """Return where the frames of a link go. Raises LinkError when the peer has not told, or told nonsense."""
    if peer is None or not link.receive_id:
        raise LinkError("PeerNotHere", f"{link.local}: vxlan links pods of two nodes, and this link has only one")
    if not peer.receive_id or "address" not in peer.node_offer:
        message = f"{link.local}: node {peer.node} has not told yet where it receives VXLAN; is its daemon running?"
        raise LinkError("PeerOfferMissing", message)
    address = _address(link, peer)
    if address.version != underlay.family:
        message = (
            f"{link.local}: node {peer.node} is reached at {address}, but this node at {underlay.address}; "
            "both need addresses of one family (HOST_IP)"
        )
        raise LinkError("UnderlayMismatch", message)
    return Remote(canonical(str(address)), peer.receive_id, _port(link, peer))


def _address(link: LinkEnd, peer: Peer) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    told = peer.node_offer["address"]
    try:
        if not isinstance(told, str):
            raise ValueError(told)  # the module takes numbers, too
        address = ipaddress.ip_address(told)
    except ValueError:
        raise _nonsense(link, peer, "address", "an IP address") from None
    if address.is_multicast or address.is_unspecified or "%" in told:
        raise _nonsense(link, peer, "address", "the address of a node")
    return address


def _port(link: LinkEnd, peer: Peer) -> int:
    told = peer.node_offer.get("port", PORT)
    if type(told) is not int or not 1 <= told <= _HIGHEST_PORT:
        raise _nonsense(link, peer, "port", f"a UDP port, 1 to {_HIGHEST_PORT}")
    return told


def _nonsense(link: LinkEnd, peer: Peer, field: str, right: str) -> LinkError:
    told = peer.node_offer[field]
    return LinkError(
        "PeerOfferInvalid", f"{link.local}: node {peer.node} offers {field} {told!r}; right would be {right}"
    )
