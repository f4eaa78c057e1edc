"""Two daemons' ends of a session, on the loopback, without daemons."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from meshnet.model.node_record import NodeRecord
from meshnet.model.session import Contact, EndState
from meshnet.model.topology import Endpoint
from meshnet.peers.identity import PUBLISHED_S, Identity
from meshnet.peers.peers import Peers


def end(name: str) -> Endpoint:
    return Endpoint("default", name, "eth1")


async def until(holds: Any, within: float = 20.0) -> None:
    """Wait until something is true."""
    limit = time.monotonic() + within
    while not holds():
        if time.monotonic() > limit:
            raise TimeoutError
        await asyncio.sleep(0.005)


class Book:
    """What core would keep."""

    def __init__(self) -> None:
        self.states: dict[Endpoint, EndState] = {}
        self.told: dict[str, dict[Endpoint, EndState]] = {}
        self.wholes = 0
        self.contacts: list[tuple[str, Contact, str]] = []
        self.refuse = ""
        self.streams: list[Any] = []
        self.server: Any = None

    def states_for(self, node: str) -> dict[Endpoint, EndState]:
        return dict(self.states)

    def heard(self, node: str, states: Any, *, whole: bool) -> None:
        if whole:
            self.told[node] = {}
            self.wholes += 1
        for endpoint, state in states.items():
            if state is None:
                self.told[node].pop(endpoint, None)
            else:
                self.told[node][endpoint] = state

    def contact(self, node: str, contact: Contact, why: str) -> None:
        self.contacts.append((node, contact, why))

    def admit(self, node: str, driver: str, local: Endpoint, peer: Endpoint) -> str:
        return self.refuse

    async def serve(self, driver: str, local: Endpoint, peer: Endpoint, stream: Any) -> None:
        self.streams.append((driver, local, peer, stream))
        if self.server is not None:
            await self.server(stream)

    def last(self, node: str) -> Contact | None:
        return next((contact for name, contact, _ in reversed(self.contacts) if name == node), None)

    def why(self, node: str) -> str:
        return next((why for name, _, why in reversed(self.contacts) if name == node), "")


MADE: list[Daemon] = []


def run(main: Any) -> None:
    """Run a test in bounded time; no daemon and no task of it is left behind."""

    async def bounded() -> None:
        try:
            async with asyncio.timeout(50):
                await main()
        finally:
            made = MADE[:]
            MADE.clear()
            for daemon in made:
                await daemon.peers.stop()
        # gRPC ends what it began for a call a moment after the call, unless nothing of it is held any more.
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()}, 5)

    asyncio.run(bounded())


class Daemon:
    """The part of a daemon that talks to others."""

    def __init__(self, path: Any, name: str, port: int = 0, **times: float) -> None:
        MADE.append(self)
        self.name = name
        self.later_s = 0.0
        self.identity = Identity(path / name, name, now=lambda: time.time() + self.later_s)
        self.book = Book()
        times = {"timeout_s": 3.0, "grace_s": 10.0, **times}
        self.peers = Peers(node=name, identity=self.identity, listen=("127.0.0.1", port), book=self.book, **times)

    def record(self, **changes: Any) -> NodeRecord:
        told = {"addresses": ("127.0.0.1",), "port": self.peers.port, "certificates": self.identity.certificates()}
        return NodeRecord(self.name, **{**told, **changes})

    def knows(self, *others: Daemon) -> None:
        for other in others:
            self.peers.record(other.name, other.record())
        self.peers.want(frozenset(other.name for other in others))

    def advance(self) -> None:
        """Take the next step of a renewal, as if what `record` says was published and it was time."""
        self.identity.published(self.identity.certificates())
        self.later_s += PUBLISHED_S + 1
        self.identity.advance()

    def refused(self) -> dict[str, int]:
        assert self.peers.connections > 0
        return dict(self.peers.refused())

    @property
    def lets_in_who_it_knows(self) -> bool:
        """Whether its server has taken over what its records say of certificates."""
        trust = self.peers._trust
        return trust._in_use == trust._wanted() and trust._fresh is None

    async def lets_in(self, identity: Identity, name: str = "") -> None:
        """Have it know the certificates of a node, and its server take them over; `name`: if not their own."""
        self.peers.record(name or identity.node, self.record(certificates=identity.certificates()))
        await until(lambda: self.lets_in_who_it_knows)

    def is_live(self, other: Daemon) -> bool:
        return self.book.last(other.name) is Contact.LIVE


async def started(path: Any, name: str, port: int = 0, **times: float) -> Daemon:
    """A daemon that listens."""
    daemon = Daemon(path, name, port, **times)
    await daemon.peers.start()
    return daemon


async def pair(path: Any, **times: float) -> tuple[Daemon, Daemon]:
    """Two daemons that hold sessions with each other."""
    one, two = await started(path, "a", **times), await started(path, "b", **times)
    one.knows(two)
    two.knows(one)
    await until(lambda: one.is_live(two) and two.is_live(one))
    return one, two


def contacts(daemon: Daemon) -> list[Contact]:
    """What a daemon took the other nodes for, one after the other."""
    return [contact for _, contact, _ in daemon.book.contacts]
