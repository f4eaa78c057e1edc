"""Nodes joined by an underlay, the same driver at work on each, in a loop and a thread of its own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Self

import attrs

from meshnet.driver import Scope
from meshnet.driver.calls import mtu_limit
from meshnet.testing.bench import Bench
from meshnet.testing.cable import Cable
from meshnet.testing.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshnet.driver import LinkDriver
    from meshnet.testing.ends import End
    from meshnet.testing.underlay import KitUnderlay

NODES = ("n1", "n2")
"""The nodes that there are from the beginning."""
COMMON_MTU = 1500
LARGEST_MTU = 9000
"""Of a link whose driver names no limit."""


@attrs.frozen
class Making:
    """What a bench of each node is made of; see `Bench.running`."""

    driver: type[LinkDriver]
    options: Mapping[str, Any]
    settings: Mapping[str, str]
    limit_s: float


class Cluster:
    """Several benches. Made by `running`, which starts the drivers and stops them at the end.

    Attributes:
        scope: between nodes.
        underlay: what joins the nodes.
        exchange: what joins the drivers.
    """

    scope = Scope.BETWEEN_NODES

    def __init__(self, underlay: KitUnderlay, making: Making, closing: contextlib.ExitStack) -> None:
        self.underlay = underlay
        self.exchange = Exchange()
        self._making = making
        self._closing = closing
        self._benches: dict[str, Bench] = {}
        for name in NODES:
            self.on(name)

    @classmethod
    @contextlib.contextmanager
    def running(
        cls,
        underlay: KitUnderlay,
        driver: type[LinkDriver],
        *,
        options: Mapping[str, Any] | None = None,
        settings: Mapping[str, str] | None = None,
        limit_s: float = 10.0,
    ) -> Iterator[Self]:
        """Start a driver on two nodes of an underlay for the length of a ``with``, in which it all ends.

        The calling thread is in the underlay's namespace meanwhile: on none of the nodes.

        Args:
            underlay: new, of nobody else.
            driver: which.
            options: of every link, as a Topology has them.
            settings: the daemons' settings that are named after the driver.
            limit_s: a call that takes longer fails, seconds.
        """
        making = Making(driver, options or {}, settings or {}, limit_s)
        with contextlib.closing(underlay), underlay.entered(), contextlib.ExitStack() as closing:
            yield cls(underlay, making, closing)

    @property
    def benches(self) -> list[Bench]:
        """Return the bench of every node that there is."""
        return list(self._benches.values())

    @property
    def largest_mtu(self) -> int:
        """The largest MTU that a link can have here, bytes."""
        bench = self.benches[0]
        limit = mtu_limit(bench.driver, self.underlay.facts(bench.node))
        return LARGEST_MTU if limit is None else limit

    def on(self, name: str) -> Bench:
        """Return the bench of a node, which is made when it is asked for first."""
        if name not in self._benches:
            node = self.underlay.new_node(name)
            self._closing.callback(node.end)
            # What the driver's thread is made in is what it lives in.
            with node.entered():
                running = Bench.running(
                    node,
                    self._making.driver,
                    self.scope,
                    options=self._making.options,
                    limit_s=self._making.limit_s,
                    underlay=self.underlay.facts(node),
                    settings=self._making.settings,
                    exchange=self.exchange,
                )
                self._benches[name] = self._closing.enter_context(running)
        return self._benches[name]

    def cable(
        self,
        left: str = "r1:eth1",
        right: str = "r2:eth1",
        *,
        uid: int = 1,
        mtu: int = COMMON_MTU,
        namespace: str = "default",
    ) -> Cable:
        """Return a link from the first node to the second, its pods and ports made, not patched yet.

        Args:
            left: ``POD:INTERFACE`` of the end on the first node.
            right: of the end on the second.
            uid: of the link; give each in a namespace its own.
            mtu: of both interfaces, bytes; less where the driver cannot carry that.
            namespace: of both pods.
        """
        mtu = min(mtu, self.largest_mtu)
        ends = [
            self.on(node).end(name, uid=uid, host=position + 1, mtu=mtu, namespace=namespace)
            for position, (node, name) in enumerate(zip(NODES, (left, right), strict=True))
        ]
        return self.join(*ends, uid=uid)

    def join(self, near: End, far: End, *, uid: int = 1) -> Cable:
        """Return a link between two ends, which may have been those of others before."""
        return Cable(self.scope, [near, far], uid=uid, mtu=near.mtu, options=self._making.options)

    def restart(self) -> None:
        """Restart the driver on every node."""
        for bench in self.benches:
            bench.restart()

    def network(self) -> frozenset[str]:
        """Return what is on the nodes, between them and in the pods, a line each."""
        return frozenset().union(*(bench.network() for bench in self.benches))

    def cut(self, name: str) -> None:
        """Take a node off the underlay, and end its streams."""
        self.underlay.cut(name)
        self.exchange.cut(name)

    def mend(self, name: str) -> None:
        """Put a node on the underlay again."""
        self.underlay.mend(name)
        self.exchange.mend(name)
