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

Every method but `accept_stream` is called with a time limit, and calls for one endpoint never overlap, but for those of
`accept_stream` and `counters`. A method may be called again with what it was called with before (after a restart of the
daemon, too): it adopts what it finds instead of making it twice.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import attrs

from meshnet.driver.context import DriverContext, Stream
from meshnet.driver.link import (
    Device,
    Inside,
    Interface,
    LinkEnd,
    Owned,
    Peer,
    Pod,
    Port,
    Socket,
    Splice,
    Underlay,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.model.topology import Endpoint

__all__ = [
    "API",
    "AcceptsStreams",
    "Attachment",
    "Carries",
    "Counts",
    "Device",
    "DriverContext",
    "Inside",
    "Interface",
    "LinkDriver",
    "LinkEnd",
    "NoOptions",
    "Owned",
    "Peer",
    "Pod",
    "Port",
    "Rebuild",
    "Scope",
    "SetsCarrier",
    "Socket",
    "Splice",
    "Stream",
    "Underlay",
]

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


class Rebuild(Exception):  # noqa: N818 - an answer, not a failure
    """Raised by `patch`: this change cannot be made in place. Core unpatches the old, then patches anew."""


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
        caution: what who has such a link should know, in a few words; told with each. Empty for nothing.
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
    caution: ClassVar[str] = ""

    async def start(self, ctx: DriverContext) -> None:
        """Begin; called once, before anything else.

        Raises LinkError: it cannot work on this node, and why. Another instance is tried later, unless ``retry=False``.
        """

    async def stop(self) -> None:
        """End; what is in the kernel stays and keeps forwarding."""

    async def node_offer(self) -> Mapping[str, Any]:
        """Return what peers need to know of this node; JSON types, at most 64 KiB."""
        return {}

    async def offer(self, local: Endpoint) -> Mapping[str, Any]:  # noqa: ARG002 - for who overrides it
        """Return what the peer of `local` needs to reach it; JSON types, at most 64 KiB."""
        return {}

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Splice:
        """Make what lies beyond `link.local`, or change it in place, and return what to splice it to.

        `peer` is None for an external link, and for an interface of the driver's own while the peer is not there.
        Raises LinkError (a reason for the status) or Rebuild.
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


@runtime_checkable
class AcceptsStreams(Protocol):
    """A driver whose instance on the peer's node opens streams to this one (`DriverContext.stream`)."""

    async def accept_stream(self, local: Endpoint, peer: Endpoint, stream: Stream) -> None:
        """Serve a stream that the peer's node opened for the link of `local` and `peer`; the stream ends with the call.

        Core has checked that the node at the other end is the one that runs `peer`, and that `local` is patched to it
        by this driver. Not limited in time.
        """
