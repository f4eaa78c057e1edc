"""What the conformance tests of a driver share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from meshnet.driver import Attachment, Carries, LinkDriver, Scope
from meshnet.testing.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshnet.testing.node import KitNode

TESTABLE = (Scope.SAME_NODE, Scope.EXTERNAL)
"""The kinds of link that one node can show."""


class DriverTestBase:
    """See `meshnet.testing.drivers.DriverTests`."""

    driver_class: ClassVar[type[LinkDriver]]
    scope: ClassVar[Scope | None] = None
    options: ClassVar[Mapping[str, Any]] = {}
    limit_s: ClassVar[float] = 10.0

    @pytest.fixture
    def bench(self, meshnet_node: KitNode) -> Iterator[Bench]:
        """The driver, started on a node of the test's own."""
        scope = self._tested_scope()
        with Bench.running(meshnet_node, self.driver_class, scope, options=self.options, limit_s=self.limit_s) as bench:
            yield bench

    def _tested_scope(self) -> Scope:
        if self.scope is not None:
            return self.scope
        for scope in TESTABLE:
            if scope in self.driver_class.scopes:
                return scope
        pytest.fail(f"the kit cannot show links of {self.driver_class.scopes} on one node")

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
