"""What the conformance tests of a driver share."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from meshnet.driver import Attachment, Carries, LinkDriver, Scope
from meshnet.driver.registry import words_of
from meshnet.errors import KernelError
from meshnet.testing.bench import Bench
from meshnet.testing.cluster import Cluster
from meshnet.testing.plugin import why_no_namespaces
from meshnet.testing.underlay import KitUnderlay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ONE_NODE = (Scope.SAME_NODE, Scope.EXTERNAL)
"""The kinds of link that one node can show."""

AnyBench = Bench | Cluster


class DriverTestBase:
    """See `meshnet.testing.drivers.DriverTests`."""

    driver_class: ClassVar[type[LinkDriver]]
    scope: ClassVar[Scope | None] = None
    options: ClassVar[Mapping[str, Any]] = {}
    settings: ClassVar[Mapping[str, str]] = {}
    limit_s: ClassVar[float] = 10.0
    underlay_mtu: ClassVar[int] = 9000
    underlay_family: ClassVar[int] = 4
    tells_within_s: ClassVar[float | None] = None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run what concerns links of any kind once with each kind, where a driver makes several."""
        scopes = self._tested_scopes()
        if "bench" in metafunc.fixturenames and len(scopes) > 1:
            metafunc.parametrize("bench", scopes, indirect=True, ids=words_of)

    @pytest.fixture
    def bench(self, request: pytest.FixtureRequest) -> Iterator[AnyBench]:
        """The driver, started on a node of the test's own, or on two."""
        scope = getattr(request, "param", None) or self._tested_scopes()[0]
        if scope is Scope.BETWEEN_NODES:
            with self._cluster() as cluster:
                yield cluster
        else:
            node = request.getfixturevalue("meshnet_node")
            with Bench.running(
                node, self.driver_class, scope, options=self.options, limit_s=self.limit_s, settings=self.settings
            ) as bench:
                yield bench

    @pytest.fixture
    def cluster(self) -> Iterator[Cluster]:
        """The driver, started on two nodes; for tests of links between nodes alone."""
        self._only_if(Scope.BETWEEN_NODES in self._tested_scopes(), "links between nodes")
        with self._cluster() as cluster:
            yield cluster

    @contextlib.contextmanager
    def _cluster(self, mtu: int | None = None) -> Iterator[Cluster]:
        """Start the driver on two nodes, by an underlay of that MTU instead of the class's."""
        try:
            underlay = KitUnderlay(mtu or self.underlay_mtu, self.underlay_family)
        except KernelError as error:
            pytest.skip(why_no_namespaces(error))
        with Cluster.running(
            underlay, self.driver_class, options=self.options, settings=self.settings, limit_s=self.limit_s
        ) as cluster:
            yield cluster

    def _tested_scopes(self) -> list[Scope]:
        """Return the kinds of link to test: what is asked for, else one of a single node's and between nodes."""
        if self.scope is not None:
            return [self.scope]
        made = self.driver_class.scopes
        scopes = [scope for scope in ONE_NODE if scope in made][:1]
        if Scope.BETWEEN_NODES in made:
            scopes.append(Scope.BETWEEN_NODES)
        return scopes

    def _only_if(self, holds: bool, what: str) -> None:
        """Skip a test of something that the driver does not declare."""
        if not holds:
            pytest.skip(f"{self.driver_class.name} does not declare {what}")

    @property
    def _direct(self) -> bool:
        return self.driver_class.attachment is Attachment.DIRECT

    @property
    def _any_frame(self) -> bool:
        return self.driver_class.carries is Carries.ANY_FRAME
