"""Link driver ``veth``: a cable between two pods of one node.

Both ends are ports already; to forward one to the other is all there is to do, and core does that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver import LinkDriver, LinkError, Scope, hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver import LinkEnd, Peer, Port

__all__ = ["VethDriver", "meshnet_register_drivers"]


class VethDriver(LinkDriver):
    """Splices the two ports of a link together; any frame passes, and nothing of its own is in the kernel."""

    api = 1
    name = "veth"
    aliases = ("VETH",)
    scopes = Scope.SAME_NODE
    claims = Scope.SAME_NODE

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Port:
        if peer is None or peer.port is None:
            where = "an interface of the node" if peer is None else f"on node {peer.node}"
            raise LinkError("PeerNotHere", f"{link.local}: veth links two pods of one node; the peer is {where}")
        return peer.port


@hookimpl
def meshnet_register_drivers(register: Callable[[type[LinkDriver]], None]) -> None:
    register(VethDriver)
