"""The driver: gives every link end a wire, and each wire the streams that it lives on."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from meshnet.driver import LinkDriver, LinkError, Owned, Scope, Socket
from meshnet.errors import KernelError
from meshnet.netlink.links import get_link, parse_link
from meshnet_grpcwire.counters import Counters
from meshnet_grpcwire.opener import keep_open, opens
from meshnet_grpcwire.path import Path
from meshnet_grpcwire.port_socket import why_unusable
from meshnet_grpcwire.pumps import Pumps
from meshnet_grpcwire.segment import OFFER, agreed, largest_here
from meshnet_grpcwire.settings import receive_buffer
from meshnet_grpcwire.wire import Route, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.driver import DriverContext, LinkEnd, Peer, Stream, Underlay
    from meshnet.model.topology import Endpoint

LARGEST_MTU = 9500
CLOSED_AT_ONCE = 8
"""A pod that goes may have hundreds of wires: the kernel's waits for each go side by side."""
GRACE_S = 10.0
"""A wire that has no stream for so long is broken; a daemon that restarts is back before."""
NEW_GRACE_S = 4.0
"""The same for a wire that begins, whose pod had no carrier before: there is none to be kept."""


class GrpcwireDriver(LinkDriver):
    """Carries frames between the ports of two nodes by the daemons' own streams, in user space."""

    api = 1
    name = "grpcwire"
    aliases = ("GRPC", "grpc")
    scopes = Scope.BETWEEN_NODES
    claims = Scope.BETWEEN_NODES

    _ctx: DriverContext
    _receive_buffer: int
    _pumps: Pumps
    _closer: ThreadPoolExecutor
    _gso_ipv4_max_size: int

    def __init__(self) -> None:
        self._wires: dict[Endpoint, Wire] = {}
        self._openers: dict[Endpoint, asyncio.Task[None]] = {}

    async def start(self, ctx: DriverContext) -> None:
        if sys.byteorder != "little":
            raise LinkError("ByteOrder", "offload headers are sent as little-endian processors have them", retry=False)
        self._receive_buffer = receive_buffer(ctx.settings)
        self._ctx = ctx
        self._gso_ipv4_max_size = largest_here()
        self._pumps = Pumps()
        self._closer = ThreadPoolExecutor(CLOSED_AT_ONCE, thread_name_prefix="grpcwire")
        why = await asyncio.get_running_loop().run_in_executor(self._closer, why_unusable)
        if why is not None:
            self._closer.shutdown(wait=False)
            raise LinkError("PacketSocketsRefused", why)

    async def stop(self) -> None:
        await asyncio.gather(*map(self._remove, list(self._wires)))
        self._closer.shutdown(wait=False)

    async def node_offer(self) -> Mapping[str, Any]:
        return {OFFER: self._gso_ipv4_max_size}

    async def patch(self, link: LinkEnd, peer: Peer | None) -> Socket:
        if peer is None or not peer.receive_id or link.port is None:
            raise LinkError("PeerUnknown", f"{link.local}: the peer's node has not told of its end of the link yet")
        route = Route.of(link, peer)
        wire = self._wires.get(link.local)
        if wire is None or wire.route != route:
            wire = await self._renewed(wire, link, route)
        wire.link = link
        size = agreed(self._gso_ipv4_max_size, peer.node_offer)
        wire.limits.change(size, offload=link.offload)
        return Socket(size)

    async def unpatch(self, link: LinkEnd) -> None:
        wire = self._wires.get(link.local)
        # That of another sandbox of the pod, which came since, is not this end's.
        if wire is not None and wire.route.alias == link.alias:
            await self._remove(link.local)

    async def inspect(self) -> Sequence[Owned]:
        """Return the wires of this process: nothing of one stays in the kernel when it ends."""
        return [
            Owned(endpoint, Socket(), f"socket on port {wire.route.ifindex} to node {wire.route.node}")
            for endpoint, wire in self._wires.items()
        ]

    async def discard(self, owned: Owned) -> None:
        if owned.endpoint is not None:
            await self._remove(owned.endpoint)

    async def accept_stream(self, local: Endpoint, peer: Endpoint, stream: Stream) -> None:
        wire = self._wires.get(local)
        if wire is None or wire.route.peer != peer:
            stream.close()
            return
        await wire.serve(stream)

    async def counters(self, local: Endpoint) -> Mapping[str, int]:
        wire = self._wires.get(local)
        return Counters().as_dict() if wire is None else wire.count().as_dict()

    def mtu_limit(self, underlay: Underlay) -> int:  # noqa: ARG002 - frames are cut and joined by TCP
        return LARGEST_MTU

    async def _renewed(self, before: Wire | None, link: LinkEnd, route: Route) -> Wire:
        """Return a wire in the place of another, or of none."""
        counters = Counters() if before is None else before.counters
        await self._remove(link.local)
        if before is not None and before.path.told:
            self._ctx.changed(link.local, "")  # what was said of that wire is not true of the next
        return self._make(link, route, counters)

    def _make(self, link: LinkEnd, route: Route, counters: Counters) -> Wire:
        first_s = self._first_grace(route)
        path = Path(lambda reason: self._ctx.changed(link.local, reason), grace_s=GRACE_S, first_s=first_s)
        buffer, log, closer = self._receive_buffer, self._ctx.log, self._closer
        try:
            wire = Wire(link, route, self._pumps, path, counters=counters, log=log, buffer=buffer, closer=closer)
        except KernelError as error:
            path.close()
            raise LinkError("KernelRefused", f"{link.local}: {error}") from error
        self._wires[link.local] = wire
        if opens(wire):
            name = f"grpcwire {link.local}"
            self._openers[link.local] = asyncio.create_task(keep_open(wire, self._ctx, path), name=name)
        return wire

    def _first_grace(self, route: Route) -> float:
        """Return how long a wire that begins may be without a stream, seconds."""
        try:
            had_carrier = parse_link(self._ctx.netlink.ask(get_link(route.ifindex))).up
        except KernelError:
            had_carrier = False
        return GRACE_S if had_carrier else NEW_GRACE_S

    async def _remove(self, endpoint: Endpoint) -> None:
        opener = self._openers.pop(endpoint, None)
        if opener is not None:
            opener.cancel()
        wire = self._wires.pop(endpoint, None)
        if wire is not None:
            await wire.close()
        if opener is not None:
            await asyncio.wait({opener}, timeout=1.0)
