"""What an end that has no interface answers to a CHECK."""

from __future__ import annotations

from typing import Any, cast

import pytest

from meshnet.reconcile.inspect import Inspector
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, sandbox

INSPECTOR = Inspector(cast("Any", None), cast("Any", None), Table())


@pytest.mark.parametrize("name", ["", "default/r1:eth1: "])
def test_the_end_is_named_once(name: str) -> None:
    """A driver may name it, or not."""
    its = end(sandbox("r1"), "eth1", "r2:eth1")
    its.fail("NameTaken", f"{name}the pod has another interface of that name")
    assert INSPECTOR.problem(its) == "default/r1:eth1: the pod has another interface of that name"
