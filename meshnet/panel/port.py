"""A port: the node side of a pod's interface, as the panel knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import attrs

from meshnet.driver.api import Port
from meshnet.driver.link import GSO_LEGACY_MAX_SIZE

if TYPE_CHECKING:
    from meshnet.errors import KernelError
    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Redirect


@attrs.define(eq=False)
class PanelPort:
    """A port in the kernel and what was last read from it or done to it.

    Attributes:
        endpoint, uid, container_id: whose port it is, as its alias says.
        name, ifindex: on the node.
        nsid, pod_ifindex: where the pod's end is; the end is found by these, never by its name.
        pod_up: the pod's end is administratively up.
        up: the port is; the pod's end has carrier exactly then.
        fading: it is not since a moment ago, and nobody has seen yet that the pod's kernel knows.
        redirect: the splice in front of the drop, or None.
        offload: the receiver may see frames as the sender's kernel left them.
        gso_ipv4_max_size: how long a frame of TCP over IPv4 may be for the kernel to cut at the port, bytes; at the
            pod's end, too, unless that could not be entered or the pod has changed it.
        mtu: of the port, bytes.
        sealed: the drops that keep the node out are in place, as far as was last read.
        marked: its alias says whose port it is, as far as was last read.
    """

    endpoint: Endpoint
    uid: int
    container_id: str
    name: str
    ifindex: int
    nsid: int = -1
    pod_ifindex: int = 0
    pod_up: bool = False
    up: bool = False
    fading: bool = False
    redirect: Redirect | None = None
    offload: bool = False
    gso_ipv4_max_size: int = GSO_LEGACY_MAX_SIZE
    mtu: int = 0
    sealed: bool = True
    marked: bool = True

    def facts(self) -> Port:
        """Return what a driver may know of it."""
        return Port(self.endpoint, self.ifindex, self.name)


class PortWish(NamedTuple):
    """A port to make, with the pod's end as the pod shall find it."""

    endpoint: Endpoint
    uid: int
    container_id: str
    mac: str
    mtu: int
    addresses: tuple[str, ...]


class Made(NamedTuple):
    """What became of a wish: a port, an error, or a port with something missing on it (then both)."""

    port: PanelPort | None
    error: KernelError | None
