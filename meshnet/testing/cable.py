"""A link under test: two ends, each called and spliced as core does it."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.driver import Attachment, Interface, LinkEnd, Peer, Rebuild, Scope
from meshnet.driver.options import decode_options
from meshnet.errors import KernelError
from meshnet.model.names import Mark, pod_mac
from meshnet.model.topology import Endpoint
from meshnet.netlink import links
from meshnet.netlink.addresses import add_address
from meshnet.panel.port import PortWish
from meshnet.testing.node import NIC, OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.driver import Port, Splice
    from meshnet.netlink import LinkInfo
    from meshnet.panel.port import PanelPort
    from meshnet.testing.bench import Bench
    from meshnet.testing.node import KitPod, Namespace

SETTLE_S = 3.0
"""How long an interface may take to get carrier."""
_IFF_RUNNING = 0x40


@attrs.frozen
class Station:
    """Where traffic goes in or comes out: an interface in a namespace, and its addresses without prefix length."""

    namespace: Namespace
    interface: str
    addresses: tuple[str, ...]

    @property
    def mac(self) -> str:
        return self._link().mac

    @property
    def mtu(self) -> int:
        return self._link().mtu

    @property
    def carrier(self) -> bool:
        return self._link().carrier

    def settle(self) -> None:
        """Wait until frames can be sent and received here. Raises AssertionError when that does not come."""
        deadline = time.monotonic() + SETTLE_S
        while not self._link().flags & _IFF_RUNNING:
            assert time.monotonic() < deadline, f"{self.namespace.name}:{self.interface} gets no carrier"
            time.sleep(0.005)
        time.sleep(0.01)  # its queue opens a moment after the flag

    def _link(self) -> LinkInfo:
        found = self.namespace.link(self.interface)
        assert found is not None, f"there is no interface {self.interface} in {self.namespace.name}"
        return found


@attrs.define(eq=False)
class End:
    """One end in a pod.

    Attributes:
        port: core's; None for a direct driver.
        splice: what the driver gave for it; None while it is not patched.
        link: as it was patched last.
    """

    endpoint: Endpoint
    pod: KitPod
    cidrs: tuple[str, ...]
    port: PanelPort | None = None
    splice: Splice | None = None
    link: LinkEnd | None = None

    @property
    def station(self) -> Station:
        return Station(self.pod, self.endpoint.interface, tuple(cidr.partition("/")[0] for cidr in self.cidrs))


class Cable:
    """A link; see `Bench.cable`.

    Attributes:
        ends: both, or the one of an external link.
        mtu, options, down: of the link; change one and `patch` again, as an edited Topology does.
        peer_gone: the peer has vanished: its port is not here and it offers nothing.
    """

    def __init__(self, bench: Bench, left: str, right: str, *, uid: int, mtu: int, options: Mapping[str, Any]) -> None:
        self._bench = bench
        self.uid = uid
        self.mtu = mtu
        self.options = options
        self.down = False
        self.peer_gone = False
        names = [left] if self.external else [left, right]
        self.ends = [self._end(name, position + 1) for position, name in enumerate(names)]
        if bench.driver.attachment is Attachment.PORT:
            for end in self.ends:
                end.port = self._make_port(end)

    @property
    def external(self) -> bool:
        return self._bench.scope is Scope.EXTERNAL

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
            if end.port is not None:
                self._bench.splicer.set_up(end.port, up=not self.down)
        return [end.splice for end in self.ends if end.splice is not None]

    def patch_end(self, end: End) -> None:
        """Patch one end and put its splice in. Raises LinkError."""
        link, peer = self.link_end(end), self.peer_of(end)
        self._resize(end)
        try:
            splice = self._bench.call("patch", link, peer)
        except Rebuild:
            self._bench.call("unpatch", end.link or link)
            splice = self._bench.call("patch", link, peer)
        end.splice, end.link = splice, link
        if end.port is not None:
            self._bench.splicer.splice(end.port, splice)
        else:
            self._furnish(end, splice)

    def unpatch(self) -> None:
        """Take the splices out and have the driver remove what it made."""
        for end in self.ends:
            if end.port is not None:
                self._bench.splicer.set_up(end.port, up=False)
                self._bench.splicer.splice(end.port, None)
            self._bench.call("unpatch", end.link or self.link_end(end))
            end.splice = None

    def settle(self) -> None:
        """Wait until traffic can flow."""
        self.near.settle()
        self.far.settle()

    def link_end(self, end: End) -> LinkEnd:
        """Return what a driver is given for an end."""
        _, options = decode_options(self._bench.driver, self.options, "options", object="the link under test")
        return LinkEnd(
            local=end.endpoint,
            peer=None if self.external else self._other(end).endpoint,
            parent=NIC if self.external else None,
            uid=self.uid,
            mtu=self.mtu,
            mac=_mac(end),
            options=options,
            down=self.down,
            alias=Mark.of(end.endpoint, self.uid, _container(end.pod)).alias,
            port=_facts(end),
            pod=end.pod,
        )

    def peer_of(self, end: End) -> Peer | None:
        """Return what a driver is told of the other side of an end."""
        if self.external:
            return None
        if self.peer_gone:
            return Peer(self._bench.node.name, None, epoch=1)
        other = self._other(end)
        return Peer(
            node=self._bench.node.name,
            port=_facts(other),
            epoch=1,
            offer=self._bench.call("offer", other.endpoint),
            node_offer=self._bench.call("node_offer"),
        )

    def _other(self, end: End) -> End:
        return self.ends[1] if end is self.ends[0] else self.ends[0]

    def _end(self, name: str, host: int) -> End:
        pod, _, interface = name.partition(":")
        if self.external:
            cidrs = (f"192.0.2.{self.uid}/24", f"2001:db8::{self.uid:x}/64")
        else:
            cidrs = (f"10.0.{self.uid}.{host}/24", f"2001:db8:{self.uid:x}::{host:x}/64")
        return End(Endpoint("default", pod, interface), self._bench.node.pod(pod), cidrs)

    def _make_port(self, end: End) -> PanelPort:
        wish = PortWish(end.endpoint, self.uid, _container(end.pod), _mac(end), self.mtu, end.cidrs)
        with end.pod.enter() as inside:
            (made,) = self._bench.maker.make([wish], inside)
        if made.error is not None:
            raise made.error
        assert made.port is not None
        return made.port

    def _resize(self, end: End) -> None:
        """Give a port and its pod's end the link's MTU; a direct driver does that itself."""
        if end.port is not None and end.station.mtu != self.mtu:
            self._bench.node.netlink.run([links.set_link(end.port.ifindex, mtu=self.mtu)])
            end.pod.netlink.run([links.set_link(end.port.pod_ifindex, mtu=self.mtu)])

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


def _mac(end: End) -> str:
    return pod_mac(end.endpoint.namespace, end.endpoint.pod, end.endpoint.interface)


def _container(pod: KitPod) -> str:
    return f"sandbox-of-{pod.name}"


def _facts(end: End) -> Port | None:
    return None if end.port is None else end.port.facts()
