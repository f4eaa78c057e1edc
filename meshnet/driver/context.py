"""What core gives a driver for its lifetime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from meshnet.driver.link import LinkEnd, Pod, Underlay
    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Netlink


LARGEST_MESSAGE = 4 << 20
"""Of a stream, bytes."""


class Stream(Protocol):
    """Messages to and from the same driver on another node, for one link: in order, authenticated and encrypted."""

    async def write(self, message: bytes) -> None:
        """Send a message of 1 to `LARGEST_MESSAGE` bytes (4 MiB); wait while the other side does not take it.

        Raises StreamEnded, ValueError when it is empty or larger. To cancel it ends the stream.
        """

    async def read(self) -> bytes:
        """Return the next message. Raises StreamEnded. To cancel it ends the stream."""

    def close(self) -> None:
        """End it, at once; what was not delivered is lost. Idempotent."""


class OpenStream(Protocol):
    """See `DriverContext.stream`."""

    async def __call__(self, link: LinkEnd, peer_node: str) -> Stream: ...


async def _no_stream(link: LinkEnd, peer_node: str) -> Stream:
    raise NotImplementedError(f"{link.local}: no streams to node {peer_node} in here")


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
        underlay: what this node reaches others by.
        settings: the daemon's settings that are named after the driver: of ``MESHNET_VXLAN_PORT=4789`` driver ``vxlan``
            gets ``{"port": "4789"}``.
        stream: (link, the peer's node) opens a stream to the same driver on that node, where its `accept_stream` is
            called with it; of a link's two ends only one should. Waits until the peer is patched to this end and its
            node can be reached, and not longer than 10 s; raises LinkError.
    """

    node: str
    netlink: Netlink
    log: logging.Logger
    allocate: Callable[[str, Endpoint], int]
    changed: Callable[[Endpoint, str], None]
    pod: Callable[[Endpoint], Pod | None]
    underlay: Underlay
    settings: Mapping[str, str] = attrs.field(factory=dict)
    stream: OpenStream = _no_stream
