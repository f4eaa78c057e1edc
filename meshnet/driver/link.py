"""What a driver is told of a link, and what it answers: facts, no behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Netlink


GSO_LEGACY_MAX_SIZE = 65536
"""How long a TCP frame may be for the kernel to cut, bytes, unless a link is told otherwise."""
GSO_IPV4_LARGEST = 255 << 10
"""What core tells pods that it links within a node, with offload, bytes: four times as long spares most of the work. A
driver that takes frames so long has them forwarded whole from one link to another."""
GSO_MAX_SIZE = 8 * 65535
"""No link may be told more, bytes."""


@attrs.frozen
class Port:
    """The node side of a pod's interface. As a splice: forward to this port."""

    endpoint: Endpoint
    ifindex: int
    name: str


@attrs.frozen
class Device:
    """A splice: forward to a device of the node that the driver made or found."""

    ifindex: int


@attrs.frozen
class Socket:
    """A splice: core drops every frame at the port; the driver reads and writes the port by AF_PACKET.

    Attributes:
        gso_ipv4_max_size: of a link with offload: how long a frame of TCP over IPv4 may be that the driver reads from
            the port or writes to it, bytes. Core lets the pod and the kernel have them so long. More than
            `GSO_LEGACY_MAX_SIZE` only when the kernels of both ends and the driver there take it. (A packet socket
            spoils such frames of IPv6: the kernel takes the header out that has their length.)
    """

    gso_ipv4_max_size: int = GSO_LEGACY_MAX_SIZE


@attrs.frozen
class Interface:
    """A splice of a direct driver: the interface it made in the pod, by its index there."""

    ifindex: int


Splice = Port | Device | Socket | Interface


class Pod(Protocol):
    """The inside of a running pod, for a direct driver."""

    @property
    def nsid(self) -> int:
        """The pod's namespace id in the node's namespace, for `IFLA_TARGET_NETNSID`."""

    def enter(self) -> AbstractContextManager[Inside]:
        """Give access to the pod's namespace for the length of a ``with``.

        Raises RestartPod when the namespace cannot be entered any more, KernelError when it cannot just now.
        """


@attrs.frozen
class Inside:
    """An open pod. Valid inside its ``with`` only: held longer, it would keep a dead pod alive.

    Attributes:
        netns_fd: the network namespace, for `IFLA_NET_NS_FD`.
        netlink: a netlink socket inside it.
    """

    netns_fd: int
    netlink: Netlink


@attrs.frozen
class LinkEnd:
    """A link as seen from one of its ends, with everything both ends agreed on.

    Attributes:
        local: the end that is being patched.
        peer: the other end; None when the link is external.
        parent: for an external link the node's interface; else None.
        uid: the link's uid in its namespace.
        mtu: of the pod's interface, bytes.
        mac: the pod interface's MAC, lower case with colons.
        options: an instance of the driver's options class.
        down: the user unplugged the cable.
        alias: ownership mark for whatever is made for this end; at most 255 bytes.
        port: the node side of the pod's interface; None for a direct driver.
        pod: the pod itself.
        epoch: of the pod's sandbox.
        receive_id: 24 bits, of this end alone among all ends of this node; kept over restarts, reboots and moves
            within the node. What carries frames between nodes can mark those for this end with it. 0 for a link that
            is not between nodes.
        mac_before: the MAC that a direct driver was asked for when it patched this end the last time, be it by a daemon
            that ran before; "" when it was not. An edited MAC is told by it from one that the pod has changed.
        offload: the link has that option: its frames may be for the receiver's kernel to cut and sum up.
    """

    local: Endpoint
    peer: Endpoint | None
    parent: str | None
    uid: int
    mtu: int
    mac: str
    options: Any
    down: bool
    alias: str
    port: Port | None
    pod: Pod
    epoch: int = 0
    receive_id: int = 0
    mac_before: str = ""
    offload: bool = False


@attrs.frozen
class Peer:
    """The other side, as far as this node knows it.

    Attributes:
        node: the node it runs on.
        port: its port, when that is on this node; else None.
        epoch: of the peer's sandbox.
        receive_id: of the peer's end, unique on its node; 0 while that is not known, or for a peer on this node.
        offer: what the driver there offered for that endpoint.
        node_offer: what the driver there offered for its node.
    """

    node: str
    port: Port | None
    epoch: int
    receive_id: int = 0
    offer: Mapping[str, Any] = attrs.field(factory=dict)
    node_offer: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Underlay:
    """What carries traffic between nodes.

    Attributes:
        mtu: of an IP packet on it, bytes.
        family: 4 or 6.
        address: this node's on it, without prefix length; ``""`` when this node has none.
        device: index of the interface that has that address; 0 when there is none.
    """

    mtu: int
    family: int
    address: str = ""
    device: int = 0


@attrs.frozen
class Owned:
    """Something that a driver holds on this node: for whom (None: for nobody that it knows) and what; can be hashed."""

    endpoint: Endpoint | None
    splice: Splice
    what: str
