"""A driver at work on a node: started, called as core calls it, its splices put into real ports."""

from __future__ import annotations

import contextlib
import logging
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
from meshnet.testing.loop import LoopThread
from meshnet.testing.node import NIC_MTU

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshnet.driver import Owned, Pod
    from meshnet.model.topology import Endpoint
    from meshnet.testing.node import KitNode


class Bench:
    """One driver on one node. Made by `running`, which starts the driver and stops it at the end.

    Attributes:
        node: where it works.
        driver: its present instance.
        scope: the kind of link that `cable` makes.
        changes: what the driver told by `DriverContext.changed`.
        maker, splicer: core's own, for ports.
    """

    def __init__(
        self,
        node: KitNode,
        driver: type[LinkDriver],
        scope: Scope,
        directory: Path,
        *,
        options: Mapping[str, Any],
        limit_s: float,
    ) -> None:
        self.node = node
        self.scope = scope
        self._options = options
        self.changes: list[tuple[Endpoint, str]] = []
        self._class = driver
        self._limit_s = limit_s
        self._ethtool = Ethtool()
        self.maker = PortMaker(node.netlink, self._ethtool, Indices(directory / "indices"))
        self.splicer = Splicer(node.netlink, self._ethtool, redirect_peer=False)
        self._identifiers: dict[tuple[str, Endpoint], int] = {}
        # Of its own: the driver may use it while the test uses the node's.
        self._netlink = Netlink.open()
        self._loop = LoopThread()
        self.driver = driver()

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
    ) -> Iterator[Self]:
        """Start a driver on a node for the length of a ``with``.

        Args:
            node: where; the calling thread is in its namespace.
            driver: which.
            scope: the kind of link to make.
            options: of every link, as a Topology has them.
            limit_s: a call that takes longer fails, seconds.
        """
        with tempfile.TemporaryDirectory(prefix="meshnet-kit-") as directory:
            bench = cls(node, driver, scope, Path(directory), options=options or {}, limit_s=limit_s)
            try:
                bench.call("start", bench.context())
                yield bench
            finally:
                bench.close()

    def close(self) -> None:
        with contextlib.closing(self._ethtool), self._netlink, contextlib.closing(self._loop):
            self.call("stop")

    def call(self, method: str, *args: Any) -> Any:
        """Call the driver as core does, with its time limit and its checks. Raises LinkError, Rebuild."""
        coroutine = call(self.driver, method, *args, limit_s=self._limit_s)
        return self._loop.run(coroutine, limit_s=self._limit_s)

    def restart(self) -> None:
        """Stop the driver and start a new instance: what a restart of the daemon is to it."""
        self.call("stop")
        self.driver = self._class()
        self.call("start", self.context())

    def context(self) -> DriverContext:
        return DriverContext(
            node=self.node.name,
            netlink=self._netlink,
            log=logging.getLogger(f"meshnet.driver.{self._class.name}"),
            allocate=self._allocate,
            changed=lambda endpoint, reason: self.changes.append((endpoint, reason)),
            pod=self._pod,
            underlay=Underlay(NIC_MTU, 4),
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
        return Cable(self, left, right, uid=uid, mtu=mtu, options=self._options)

    def network(self) -> frozenset[str]:
        """Return what is on the node, outside it and in the pods, a line each."""
        return snapshot.network([*self.node.namespaces(), self.node.sink])

    def _allocate(self, pool: str, endpoint: Endpoint) -> int:
        taken = len(self._identifiers) + 1
        return self._identifiers.setdefault((pool, endpoint), taken)

    def _pod(self, endpoint: Endpoint) -> Pod | None:
        return self.node.pods.get(endpoint.pod)
