"""The driver contract: what a link driver declares and does.

A driver makes what lies beyond a port; core alone touches the port itself (filters, offloads, admin state, counters).
The smallest whole driver, in a package whose entry point in group ``meshnet`` names this module::

    from meshnet.driver import LinkDriver, Scope, hookimpl

    class Wire(LinkDriver):
        api = 1
        name = "wire"
        scopes = Scope.SAME_NODE

        async def patch(self, link, peer):
            return peer.port

    @hookimpl
    def meshnet_register_drivers(register):
        register(Wire)

Every method is called with a time limit, and never twice at once for one endpoint. A method may be called again with
what it was called with before (after a restart of the daemon, too): it adopts what it finds instead of making it twice.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import attrs

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Netlink

API = 1
"""The contract's version. Core accepts this one and the one before."""


class Scope(enum.Flag):
    """Kinds of link, by where the other side is."""

    SAME_NODE = enum.auto()
    BETWEEN_NODES = enum.auto()
    EXTERNAL = enum.auto()


class Attachment(enum.Enum):
    """What the pod's interface is."""

    PORT = "port"
    """A veth whose node side is a port that core owns and the driver patches."""
    DIRECT = "direct"
    """An interface that the driver makes in the pod itself."""


class Carries(enum.Enum):
    """Which frames pass from end to end."""

    ANY_FRAME = "any frame"
    OWN_MAC = "own MAC only"


@attrs.frozen
class NoOptions:
    """The options of a driver that has none."""


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
    """A splice: core drops every frame at the port; the driver reads and writes the port by AF_PACKET."""


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

        Raises RestartPod when the namespace cannot be entered any more.
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


@attrs.frozen
class Peer:
    """The other side, as far as this node knows it.

    Attributes:
        node: the node it runs on.
        port: its port, when that is on this node; else None.
        epoch: of the peer's sandbox.
        offer: what the driver there offered for that endpoint.
        node_offer: what the driver there offered for its node.
    """

    node: str
    port: Port | None
    epoch: int
    offer: Mapping[str, Any] = attrs.field(factory=dict)
    node_offer: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class Underlay:
    """What carries traffic between nodes: its MTU in bytes and address family (4 or 6)."""

    mtu: int
    family: int


@attrs.frozen
class Owned:
    """Something that a driver holds on this node: for whom (None: for nobody that it knows) and what."""

    endpoint: Endpoint | None
    splice: Splice
    what: str


class Rebuild(Exception):  # noqa: N818 - an answer, not a failure
    """Raised by `patch`: this change cannot be made in place; patch anew, then unpatch the old."""


@attrs.frozen
class DriverContext:
    """What core gives a driver for its lifetime.

    Attributes:
        node: this node's name.
        netlink: a netlink socket in the node's namespace.
        log: the driver's logger.
        allocate: (pool, endpoint) → an identifier of 24 bits, the same for the same endpoint, unique on this node in
            that pool, kept over restarts and reboots.
        changed: (endpoint, reason) tells core that the path of an endpoint failed (a CamelCase reason) or is back ("").
        pod: an endpoint's pod while it runs on this node, else None.
    """

    node: str
    netlink: Netlink
    log: logging.Logger
    allocate: Callable[[str, Endpoint], int]
    changed: Callable[[Endpoint, str], None]
    pod: Callable[[Endpoint], Pod | None]


class LinkDriver:
    """Base of every link driver; the class attributes are its declaration.

    Attributes:
        api: version of this contract that it was written for.
        name: as in `spec.links[].driver`; lower case.
        aliases: other names that users have for it.
        scopes: the kinds of link it can make.
        claims: the kinds of link it wants to be chosen for when a link names no driver.
        rank: among drivers that claim the same kind the highest wins.
        options: attrs class of `spec.links[].options`; a field with metadata ``{"per_end": True}`` may differ.
        attachment: a port of core's, or an interface of its own.
        carries: which frames pass.
        honest: a receiver sees valid checksums and nothing longer than the MTU.
    """

    api: ClassVar[int]
    name: ClassVar[str]
    aliases: ClassVar[tuple[str, ...]] = ()
    scopes: ClassVar[Scope]
    claims: ClassVar[Scope] = Scope(0)
    rank: ClassVar[int] = 0
    options: ClassVar[type] = NoOptions
    attachment: ClassVar[Attachment] = Attachment.PORT
    carries: ClassVar[Carries] = Carries.ANY_FRAME
    honest: ClassVar[bool] = True

    async def start(self, ctx: DriverContext) -> None:
        """Begin; called once, before anything else. Raise LinkError when it cannot work on this node: why."""

    async def stop(self) -> None:
        """End; what is in the kernel stays and keeps forwarding."""

    async def node_offer(self) -> Mapping[str, Any]:
        """Return what peers need to know of this node; JSON types."""
        return {}

    async def offer(self, local: Endpoint) -> Mapping[str, Any]:  # noqa: ARG002 - for who overrides it
        """Return what the peer of `local` needs to reach it; JSON types."""
        return {}

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Splice:
        """Make what lies beyond `link.local`, or change it in place, and return what to splice it to.

        `peer` is None for an external link. Raises LinkError (a reason for the status) or Rebuild.
        """
        raise NotImplementedError

    async def unpatch(self, link: LinkEnd) -> None:
        """Remove what `patch` made for this end; nothing there is success."""

    async def inspect(self) -> Sequence[Owned]:
        """Return everything this driver owns on this node, read from the kernel or its own state."""
        return ()

    async def discard(self, owned: Owned) -> None:
        """Remove something that `inspect` told of and that no link here needs; gone already is success."""

    def mtu_limit(self, underlay: Underlay) -> int | None:  # noqa: ARG002 - for who overrides it
        """Return the largest MTU a link can have over that underlay, None for no limit."""
        return None


@runtime_checkable
class SetsCarrier(Protocol):
    """A direct driver that can take and give its interface's carrier."""

    async def set_carrier(self, link: LinkEnd, up: bool) -> None:
        """Make the pod's interface gain or lose carrier."""


@runtime_checkable
class Counts(Protocol):
    """A driver with counters beyond the interface's own."""

    async def counters(self, local: Endpoint) -> Mapping[str, int]:
        """Return counters by name: frames, bytes, drops by reason."""
