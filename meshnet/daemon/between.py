"""This node among the others: sessions and streams with their daemons, joined to what keeps the links here.

As long as no other node is known there is nothing of it: no key, no port, no library loaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from meshnet.driver.api import AcceptsStreams
from meshnet.driver.calls import failed
from meshnet.errors import LinkError, MeshnetError
from meshnet.peers.book import NOT_YET
from meshnet.reconcile.end import Joint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshnet.daemon.core import Core
    from meshnet.daemon.settings import Settings
    from meshnet.driver.api import LinkEnd, Stream
    from meshnet.driver.context import OpenStream
    from meshnet.model.session import Contact, EndState
    from meshnet.model.topology import Endpoint
    from meshnet.peers.identity import Identity
    from meshnet.peers.peers import Peers

log = logging.getLogger(__name__)

STREAM_LIMIT_S = 10.0
"""How long a driver's stream may take to be there."""
AGAIN_S = 5.0


class Between:
    """Holds the peer sessions of a node, and is what they ask (`meshnet.peers.book.Book`).

    Args:
        settings: of the daemon.
        core: what keeps the links here.
        certified: called when this node's certificates came or changed: its record is out of date.
    """

    def __init__(self, settings: Settings, core: Core, certified: Callable[[], None]) -> None:
        self._settings = settings
        self._core = core
        self._certified = certified
        self._identity: Identity | None = None
        self._peers: Peers | None = None
        self._others = asyncio.Event()
        self._settled = asyncio.Event()

    def certificates(self) -> tuple[str, ...]:
        """Return what this node's record says; none while it is alone."""
        if self._others.is_set():
            # Without delay: a record without them, for a moment, would end its peers' trust.
            with contextlib.suppress(OSError, MeshnetError):  # `run` tells
                self._identify()
        return self._identity.certificates() if self._identity else ()

    def told(self) -> dict[str, Any]:
        """Return how this node stands with the others, and what it took and what it refused; for who asks."""
        if self._peers is None:
            return {"port": None, "peers": {}, "connections": 0, "refused": {}}
        contacts = {node: {"contact": how.value, "why": why} for node, (how, why) in self._peers.contacts().items()}
        return {
            "port": self._peers.port,
            "peers": contacts,
            "connections": self._peers.connections,
            "refused": dict(self._peers.refused()),
        }

    def node_changed(self, node: str) -> None:
        """Take note that a node told of itself, or is gone."""
        if node == self._settings.node:
            self._published()
            return
        record = self._core.nodes.record(node)
        if record is not None:
            self._others.set()
        if self._peers is not None:
            self._peers.record(node, record)

    def settled(self) -> None:
        """Take note that what was adopted is as it should be: from now on peers may be told of it."""
        self._settled.set()

    async def run(self) -> None:
        """Be in touch with the others as soon as there are any, until `stop`. Raises MeshnetError."""
        await self._others.wait()
        identity = await self._identified()
        self._certified()
        # Who is told before is told that the ends here are not patched, and takes their carrier.
        await self._settled.wait()
        # Only now: a node that is alone shall not carry what they load.
        from meshnet.peers.peers import Peers  # noqa: PLC0415

        settings = self._settings
        peers = Peers(
            node=settings.node,
            identity=identity,
            listen=(self._core.place.underlay.address, settings.port),
            book=self,
            timeout_s=settings.peer_timeout_s,
            grace_s=settings.peer_grace_s,
        )
        await self._start(peers)
        self._peers = peers
        for record in self._core.nodes.records():
            if record.name != settings.node:
                peers.record(record.name, record)
        self._core.announcer.begin(peers)

    async def stop(self) -> None:
        """Leave the others; to them this daemon is away, and its node is not."""
        if self._peers is not None:
            await self._peers.stop()

    async def _identified(self) -> Identity:
        """Return who this node is, as soon as that can be read or kept."""
        while True:
            try:
                return self._identify()
            except (OSError, MeshnetError) as error:
                log.error("this node's key: %s; trying again in %g s", error, AGAIN_S)
            await asyncio.sleep(AGAIN_S)

    def _identify(self) -> Identity:
        """Return who this node is, made if it is nobody yet. Raises MeshnetError, OSError."""
        from meshnet.peers.identity import Identity  # noqa: PLC0415 - a node that is alone does not load it

        if self._identity is None:
            settings = self._settings
            self._identity = Identity(settings.state_dir / "identity", settings.node, rotate_days=settings.rotate_days)
            self._identity.listen(self._certified)
            self._published()
        return self._identity

    def _published(self) -> None:
        """Tell this node's identity what its record holds by now, as every other node reads it."""
        record = self._core.nodes.record(self._settings.node)
        if self._identity is not None:
            self._identity.published(record.certificates if record is not None else ())

    async def _start(self, peers: Peers) -> None:
        """Begin to listen, as soon as the port is free."""
        while True:
            try:
                await peers.start()
            except MeshnetError as error:
                log.error("%s; trying again in %g s", error, AGAIN_S)
                await asyncio.sleep(AGAIN_S)
            else:
                return

    def states_for(self, node: str) -> Mapping[Endpoint, EndState]:
        return self._core.announcer.states_for(node)

    def heard(self, node: str, states: Mapping[Endpoint, EndState | None], *, whole: bool) -> None:
        self._core.remotes.heard(node, states, whole=whole)

    def contact(self, node: str, contact: Contact, why: str) -> None:
        log.info("node %s: %s%s", node, contact.value, f" ({why})" if why else "")
        self._core.remotes.contact(node, contact, why)

    def admit(self, node: str, driver: str, local: Endpoint, peer: Endpoint) -> str:
        """Tell why a node may not open a stream for a link, ``""`` when it may; see `meshnet.peers.book.Book`."""
        end = self._core.table.end(local)
        if end is None or end.plan is None or end.plan.peer != peer:
            return f"there is no link {local} - {peer} here"
        if not end.plan.node:
            # Edits and claims reach nodes one by one: what is no link here yet, or no more for a moment, is one there.
            return f"{NOT_YET}: it is not known here where {peer} runs"
        if end.plan.node != node:
            return f"{peer} runs on node {end.plan.node}, not on {node}"
        if end.patched_by == driver and end.joint == Joint(peer, end.plan.epoch):
            return ""
        why = f"{local} is not patched by driver {driver} to the sandbox that {peer} is in"
        soon = not end.plan.reason and end.plan.driver is not None and end.plan.driver.name == driver
        return f"{NOT_YET}: {why}" if soon else why

    async def serve(self, driver: str, local: Endpoint, peer: Endpoint, stream: Stream) -> None:
        """Give a stream that was admitted to its driver. Raises LinkError, and what else the driver raises."""
        found = self._core.place.catalog.find(driver)
        if not isinstance(found, AcceptsStreams):
            raise LinkError("StreamRefused", f"driver {driver} takes no streams")
        try:
            await found.accept_stream(local, peer, stream)
        except (SystemExit, KeyboardInterrupt) as error:  # out of a task they would end the daemon
            raise failed(found, error) from error

    def opener(self, driver: str) -> OpenStream:
        """Return what opens streams for a driver."""

        async def open_stream(link: LinkEnd, peer_node: str) -> Stream:
            return await self._open(driver, link, peer_node)

        return open_stream

    async def _open(self, driver: str, link: LinkEnd, node: str) -> Stream:
        end = self._core.table.end(link.local)
        if end is None or link.peer is None:
            raise LinkError("StreamRefused", f"{link.local}: there is no such end to another node")
        loop = asyncio.get_running_loop()
        limit = loop.time() + STREAM_LIMIT_S
        try:
            await self._core.remotes.patched(end, driver, limit_s=STREAM_LIMIT_S)
        except TimeoutError as error:
            told = f"{link.local}: {link.peer} is not patched to it after {STREAM_LIMIT_S:g} s"
            raise LinkError("PeerNotPatched", told) from error
        if self._peers is None:
            raise LinkError("PeerUnreachable", f"{link.local}: there is no session with node {node} yet")
        return await self._peers.open_stream(driver, link.local, link.peer, node, limit_s=limit - loop.time())
