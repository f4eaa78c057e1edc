"""A link under test: two ends, each called and spliced as core does it."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from meshnet.driver import Interface, LinkEnd, Peer, Rebuild, Scope
from meshnet.driver.options import decode_options
from meshnet.errors import KernelError
from meshnet.model.names import Mark
from meshnet.netlink import links
from meshnet.netlink.addresses import add_address
from meshnet.panel.segment import gso_ipv4_max_size
from meshnet.testing.ends import End, Station
from meshnet.testing.node import NIC, OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.driver import Splice
    from meshnet.driver.options import CoreOptions
    from meshnet.panel.port import PanelPort
    from meshnet.panel.splice import Splicer
    from meshnet.testing.node import KitPod


def fit_frames(port: PanelPort, pod: KitPod, splicer: Splicer, splice: Splice, *, offload: bool) -> None:
    """Let frames of a port and of its pod's end be as long as the driver takes them."""
    size = gso_ipv4_max_size(splice, offload=offload)
    if port.gso_ipv4_max_size != size:
        pod.netlink.run([links.set_link(port.pod_ifindex, gso_ipv4_max_size=size)])
        splicer.set_gso_ipv4_max_size(port, size)


class Cable:
    """A link; see `Bench.cable` and `Cluster.cable`.

    Attributes:
        scope: the kind of link.
        ends: both, or the one of an external link.
        uid: of the link.
        mtu, options, down: of the link; change one and `patch` again, as an edited Topology does.
        peer_gone: nothing is known of the peer: its port is not here, it offers nothing and has no receive id.
    """

    def __init__(self, scope: Scope, ends: Sequence[End], *, uid: int, mtu: int, options: Mapping[str, Any]) -> None:
        self.scope = scope
        self.ends = list(ends)
        self.uid = uid
        self.mtu = mtu
        self.options = options
        self.down = False
        self.peer_gone = False
        self._bench = self.ends[0].bench

    @property
    def external(self) -> bool:
        return self.scope is Scope.EXTERNAL

    @property
    def near(self) -> Station:
        return self.ends[0].station

    @property
    def far(self) -> Station:
        """The other end; of an external link the interface that the NIC is cabled to."""
        if self.external:
            return Station(self._bench.node.sink, OUTSIDE, ("192.0.2.254", "2001:db8::fe"))
        return self.ends[1].station

    def patch(self) -> list[Splice]:
        """Patch both ends and give them carrier, as core does. Raises LinkError."""
        for end in self.ends:
            self.patch_end(end)
        for end in self.ends:
            end.carry(up=not self.down)
        return [end.splice for end in self.ends if end.splice is not None]

    def patch_end(self, end: End) -> None:
        """Patch one end and put its splice in. Raises LinkError."""
        link, peer = self.link_end(end), self.peer_of(end)
        self._resize(end)
        try:
            splice = end.bench.call("patch", link, peer)
        except Rebuild:
            end.bench.call("unpatch", end.link or link)
            splice = end.bench.call("patch", link, peer)
        end.splice, end.link = splice, link
        end.bench.patched[end.endpoint] = link
        if end.port is not None:
            if end.port.uid != self.uid:
                end.bench.splicer.relabel(end.port, self.uid)
            fit_frames(end.port, end.pod, end.bench.splicer, splice, offload=link.offload)
            end.bench.splicer.splice(end.port, splice, offload=link.offload)
        else:
            self._furnish(end, splice)

    def unpatch(self) -> None:
        """Take the splices out and have the driver remove what it made."""
        for end in self.ends:
            self.unpatch_end(end)

    def unpatch_end(self, end: End) -> None:
        """Take one end's splice out and have the driver remove what it made for it."""
        link = end.link or self.link_end(end)
        end.carry(up=False)
        if end.port is not None:
            end.bench.splicer.splice(end.port, None)
        if end.bench.patched.get(end.endpoint) == link:
            del end.bench.patched[end.endpoint]
        end.bench.call("unpatch", link)
        end.splice = None

    def settle(self) -> None:
        """Wait until traffic can flow."""
        self.near.settle()
        self.far.settle()

    def link_end(self, end: End) -> LinkEnd:
        """Return what a driver is given for an end."""
        core, options = self._decoded(end)
        return LinkEnd(
            local=end.endpoint,
            peer=None if self.external else self._other(end).endpoint,
            parent=NIC if self.external else None,
            uid=self.uid,
            mtu=self.mtu,
            mac=end.mac,
            options=options,
            down=self.down,
            alias=Mark.of(end.endpoint, self.uid, end.container).alias,
            port=end.facts,
            pod=end.pod,
            epoch=end.epoch,
            receive_id=self._receive_id(end),
            offload=core.offload,
        )

    def peer_of(self, end: End) -> Peer | None:
        """Return what a driver is told of the other side of an end."""
        if self.external:
            return None
        other = self._other(end)
        node = other.bench.node.name
        if self.peer_gone:
            return Peer(node, None, epoch=other.epoch)
        return Peer(
            node=node,
            port=None if self.scope is Scope.BETWEEN_NODES else other.facts,
            epoch=other.epoch,
            receive_id=self._receive_id(other),
            offer=other.bench.call("offer", other.endpoint),
            node_offer=other.bench.call("node_offer"),
        )

    def _receive_id(self, end: End) -> int:
        return end.bench.receive_id(end.endpoint) if self.scope is Scope.BETWEEN_NODES else 0

    def _other(self, end: End) -> End:
        return self.ends[1] if end is self.ends[0] else self.ends[0]

    def _resize(self, end: End) -> None:
        """Give a port and its pod's end the link's MTU; a direct driver does that itself."""
        if end.port is not None and end.station.mtu != self.mtu:
            end.bench.node.netlink.run([links.set_link(end.port.ifindex, mtu=self.mtu)])
            end.pod.netlink.run([links.set_link(end.port.pod_ifindex, mtu=self.mtu)])

    def _decoded(self, end: End) -> tuple[CoreOptions, Any]:
        return decode_options(end.bench.driver, self.options, "options", object="the link under test")

    def _furnish(self, end: End, splice: Splice) -> None:
        """Give a direct driver's interface its addresses, as core does."""
        assert isinstance(splice, Interface)
        end.pod.netlink.run([links.set_link(splice.ifindex, up=True)])
        for cidr in end.cidrs:
            try:
                end.pod.netlink.run([add_address(splice.ifindex, cidr)])
            except KernelError as error:
                if error.errno != errno.EEXIST:
                    raise
