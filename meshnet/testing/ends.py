"""The ends of a link under test: pods' interfaces, and what core knows of each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from meshnet.driver import Attachment
from meshnet.model.names import parse_mark, pod_mac, port_name
from meshnet.model.topology import Endpoint
from meshnet.netlink import links
from meshnet.netlink.ifla import IFF_RUNNING
from meshnet.panel.port import PortWish
from meshnet.panel.read import is_newborn, looks_like_a_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.driver import LinkEnd, Port, Splice
    from meshnet.netlink import LinkInfo
    from meshnet.panel.port import PanelPort
    from meshnet.testing.bench import Bench
    from meshnet.testing.node import KitPod, Namespace

SETTLE_S = 3.0
"""How long an interface may take to get carrier."""


def _await(holds: Callable[[], bool], told: str) -> None:
    """Wait until something holds. Raises AssertionError, with what is told then, when that does not come."""
    deadline = time.monotonic() + SETTLE_S
    while not holds():
        assert time.monotonic() < deadline, told
        time.sleep(0.001)


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
        _await(
            lambda: bool(self._link().flags & IFF_RUNNING), f"{self.namespace.name}:{self.interface} gets no carrier"
        )
        time.sleep(0.01)  # its queue opens a moment after the flag

    def _link(self) -> LinkInfo:
        found = self.namespace.link(self.interface)
        assert found is not None, f"there is no interface {self.interface} in {self.namespace.name}"
        return found


@attrs.define(eq=False)
class End:
    """One end in a pod.

    Attributes:
        endpoint: which.
        bench: of the node that its pod runs on.
        pod: its sandbox.
        cidrs: addresses of the interface.
        mtu: of the interface at first, bytes.
        epoch: of the sandbox.
        port: core's; None for a direct driver.
        splice: what the driver gave for it; None while it is not patched.
        link: as it was patched last.
    """

    endpoint: Endpoint
    bench: Bench
    pod: KitPod
    cidrs: tuple[str, ...]
    mtu: int
    epoch: int = 1
    port: PanelPort | None = None
    splice: Splice | None = None
    link: LinkEnd | None = None

    @property
    def station(self) -> Station:
        return Station(self.pod, self.endpoint.interface, tuple(cidr.partition("/")[0] for cidr in self.cidrs))

    @property
    def mac(self) -> str:
        """What core gives the interface."""
        return pod_mac(self.endpoint.namespace, self.endpoint.pod, self.endpoint.interface)

    @property
    def container(self) -> str:
        """The container id of the sandbox."""
        return f"sandbox-of-{self.pod.name}"

    @property
    def facts(self) -> Port | None:
        """What a driver may know of the port."""
        return None if self.port is None else self.port.facts()

    def carry(self, *, up: bool) -> None:
        """Give the interface carrier, or take it away, if it has a port: a direct driver's is its driver's affair."""
        port = self.port
        if port is not None:
            told = f"the kernel of {self.pod.name} does not see that carrier was lost"
            _await(lambda: self.bench.splicer.set_up(port, up=up), told)

    def lose_port(self) -> None:
        """Delete the port, as the end of the pod's namespace does, and unbeknown to the driver."""
        assert self.port is not None
        self.bench.node.netlink.run([links.delete_link(self.port.ifindex)])


def make_end(bench: Bench, endpoint: Endpoint, pod: KitPod, cidrs: tuple[str, ...], *, uid: int, mtu: int) -> End:
    """Return an end in a pod on that bench's node, its port made as core makes it, not patched.

    Args:
        bench: of the pod's node.
        endpoint: which.
        pod: its sandbox.
        cidrs: addresses with prefix lengths.
        uid: of the link that it is an end of at first.
        mtu: of the interface, bytes.
    """
    end = End(endpoint, bench, pod, cidrs, mtu)
    if bench.driver.attachment is Attachment.PORT:
        wish = PortWish(endpoint, uid, end.container, end.mac, mtu, cidrs)
        with pod.enter() as inside:
            (made,) = bench.maker.make([wish], inside)
        if made.error is not None:
            raise made.error
        end.port = made.port
    return end


def assert_ports_are_cores(node: Namespace, driver: str) -> None:
    """Check that a starting daemon takes for ports what core has made alone: of others it deletes what it finds."""
    for info in node.links():
        mark = parse_mark(info.alias)
        not_cores = mark is not None and info.name != port_name(mark.container_id, mark.interface)
        if is_newborn(info) or (not_cores and looks_like_a_port(info)):
            raise AssertionError(f"driver {driver}: {info.name} has a port's name; right would be one of the driver's")


def endpoint_of(name: str, namespace: str = "default") -> Endpoint:
    """Return the endpoint of ``POD:INTERFACE``."""
    pod, _, interface = name.partition(":")
    return Endpoint(namespace, pod, interface)
