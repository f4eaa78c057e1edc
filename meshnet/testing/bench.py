"""A driver at work on a node: started, called as core calls it, its splices put into real ports."""

from __future__ import annotations

import contextlib
import logging
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from meshnet.driver import DriverContext, LinkDriver, Scope, Underlay
from meshnet.driver.calls import call
from meshnet.netlink import Ethtool, Netlink
from meshnet.panel.indices import Indices
from meshnet.panel.make import PortMaker
from meshnet.panel.splice import Splicer
from meshnet.testing import snapshot
from meshnet.testing.cable import Cable
from meshnet.testing.ends import End, assert_ports_are_cores, endpoint_of, make_end
from meshnet.testing.exchange import Exchange
from meshnet.testing.loop import LoopThread
from meshnet.testing.node import NIC_MTU

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from meshnet.driver import LinkEnd, Owned, Stream
    from meshnet.model.topology import Endpoint
    from meshnet.testing.node import KitNode


class Bench:
    """One driver on one node. Made by `running`, which starts the driver and stops it at the end.

    Attributes:
        node: where it works.
        driver: its present instance.
        scope: the kind of link that `cable` makes.
        changes: what the driver told by `DriverContext.changed`.
        patched: the ends that its present instance has patched, as they were patched last.
        maker, splicer: core's own, for ports.
        largest_mtu: of a link that may be made here, bytes.
    """

    largest_mtu = NIC_MTU

    def __init__(
        self,
        node: KitNode,
        driver: type[LinkDriver],
        scope: Scope,
        directory: Path,
        *,
        options: Mapping[str, Any],
        limit_s: float,
        underlay: Underlay | None = None,
        settings: Mapping[str, str] | None = None,
        exchange: Exchange | None = None,
    ) -> None:
        self.node = node
        self.scope = scope
        self.changes: list[tuple[Endpoint, str]] = []
        self.patched: dict[Endpoint, LinkEnd] = {}
        self._options = options
        self._underlay = underlay or Underlay(NIC_MTU, 4)
        self._settings = settings or {}
        self._exchange = exchange or Exchange()
        self._class = driver
        self._limit_s = limit_s
        self.driver = driver()  # before there is anything to close
        self._started = False
        self._ethtool = Ethtool()
        self.maker = PortMaker(node.netlink, self._ethtool, Indices(directory / "indices"))
        self.splicer = Splicer(node.netlink, self._ethtool, redirect_peer=False)
        self._identifiers: dict[tuple[str, Endpoint], int] = {}
        self._receive_ids: dict[Endpoint, int] = {}
        # Of its own: the driver may use it while the test uses the node's.
        self._netlink = Netlink.open()
        self._loop = LoopThread()
        self._exchange.join(self)

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        node: KitNode,
        driver: type[LinkDriver],
        scope: Scope,
        *,
        options: Mapping[str, Any] | None = None,
        limit_s: float = 10.0,
        underlay: Underlay | None = None,
        settings: Mapping[str, str] | None = None,
        exchange: Exchange | None = None,
    ) -> Iterator[Self]:
        """Start a driver on a node for the length of a ``with``.

        Args:
            node: where; the calling thread is in its namespace while this is entered.
            driver: which.
            scope: the kind of link to make.
            options: of every link, as a Topology has them.
            limit_s: a call that takes longer fails, seconds.
            underlay: by what the node reaches others; by default one without an address.
            settings: the daemon's settings that are named after the driver.
            exchange: opens streams to the drivers on other nodes; by default there are none.
        """
        with tempfile.TemporaryDirectory(prefix="meshnet-kit-") as directory:
            bench = cls(
                node,
                driver,
                scope,
                Path(directory),
                options=options or {},
                limit_s=limit_s,
                underlay=underlay,
                settings=settings,
                exchange=exchange,
            )
            try:
                bench._start()
                yield bench
            finally:
                bench.close()

    @property
    def benches(self) -> list[Bench]:
        """Return every bench there is: this one."""
        return [self]

    def close(self) -> None:
        with contextlib.closing(self._ethtool), self._netlink, contextlib.closing(self._loop):
            try:
                self._exchange.leave(self.node.name)
                self._stop()
            finally:
                self._exchange.drop(self.node.name)

    def call(self, method: str, *args: Any) -> Any:
        """Call the driver as core does, with its time limit and its checks. Raises LinkError, Rebuild."""
        coroutine = call(self.driver, method, *args, limit_s=self._limit_s)
        return self._loop.run(coroutine, limit_s=self._limit_s)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Future[None]:
        """Have a coroutine run in the driver's loop, beside what else does."""
        return self._loop.spawn(coroutine)

    def tasks(self) -> int:
        """Return how many tasks there are in the driver's loop."""
        return self._loop.tasks()

    def restart(self) -> None:
        """Stop the driver and start a new instance: what a restart of the daemon is to it."""
        self._stop()
        assert_ports_are_cores(self.node, self._class.name)
        self.patched.clear()
        self._exchange.drop(self.node.name)
        with self.node.entered():
            self.driver = self._class()
        self._start()

    def context(self) -> DriverContext:
        return DriverContext(
            node=self.node.name,
            netlink=self._netlink,
            log=logging.getLogger(f"meshnet.driver.{self._class.name}"),
            allocate=self._allocate,
            changed=lambda endpoint, reason: self.changes.append((endpoint, reason)),
            pod=self.node.pod_of,
            underlay=self._underlay,
            settings=self._settings,
            stream=self._stream,
        )

    def inspect(self) -> Sequence[Owned]:
        """Return what the driver says it owns."""
        owned: Sequence[Owned] = self.call("inspect")
        return owned

    def cable(
        self,
        left: str = "r1:eth1",
        right: str = "r2:eth1",
        *,
        uid: int = 1,
        mtu: int = 1500,
    ) -> Cable:
        """Return a link of the bench's kind, its pods and ports made, not patched yet.

        Args:
            left: ``POD:INTERFACE`` of one end.
            right: of the other; of no matter for an external link, which ends outside the node's NIC.
            uid: of the link; give each its own.
            mtu: of both interfaces, bytes.
        """
        names = [left] if self.scope is Scope.EXTERNAL else [left, right]
        ends = [self.end(name, uid=uid, host=position + 1, mtu=mtu) for position, name in enumerate(names)]
        return Cable(self.scope, ends, uid=uid, mtu=mtu, options=self._options)

    def end(
        self, name: str, *, uid: int = 1, host: int = 1, mtu: int = 1500, namespace: str = "default", new: bool = False
    ) -> End:
        """Return an end in a pod here, its port made, not patched.

        Args:
            name: ``POD:INTERFACE``.
            uid: of its link; its addresses are made of it, and of `host`.
            host: its number on the link.
            mtu: bytes.
            namespace: of the pod.
            new: in a new sandbox of the pod.
        """
        endpoint = endpoint_of(name, namespace)
        pod = (self.node.renewed_pod if new else self.node.pod)(endpoint.pod, namespace)
        if self.scope is Scope.EXTERNAL:
            cidrs = (f"192.0.2.{uid}/24", f"2001:db8::{uid:x}/64")
        else:
            cidrs = (f"10.0.{uid}.{host}/24", f"2001:db8:{uid:x}::{host:x}/64")
        return make_end(self, endpoint, pod, cidrs, uid=uid, mtu=mtu)

    def receive_id(self, endpoint: Endpoint) -> int:
        """Return the receive identifier of an endpoint here: of 24 bits, its own, and the same ever after."""
        taken = set(self._receive_ids.values())
        while endpoint not in self._receive_ids:
            drawn = secrets.randbelow((1 << 24) - 1) + 1
            if drawn not in taken:
                self._receive_ids[endpoint] = drawn
        return self._receive_ids[endpoint]

    def network(self) -> frozenset[str]:
        """Return what is on the node, outside it and in the pods, a line each."""
        return snapshot.network([*self.node.namespaces(), self.node.sink])

    def _start(self) -> None:
        self.call("start", self.context())
        self._started = True

    def _stop(self) -> None:
        """Stop the driver, if it has started: as core does."""
        started, self._started = self._started, False
        if started:
            self.call("stop")

    def _allocate(self, pool: str, endpoint: Endpoint) -> int:
        taken = len(self._identifiers) + 1
        return self._identifiers.setdefault((pool, endpoint), taken)

    async def _stream(self, link: LinkEnd, peer_node: str) -> Stream:
        return await self._exchange.open(self, link, peer_node)
