"""What a starting daemon makes of patches that lead to what is gone."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, cast

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import Redirect
from meshnet.reconcile.adopt import rejoin
from meshnet.reconcile.end import Joint
from meshnet.reconcile.table import Table
from tests.reconcile.fakes import Splicer
from tests.reconcile.made import end, sandbox

if TYPE_CHECKING:
    from meshnet.reconcile.end import End


class Dying(Splicer):
    """The pods die while they are adopted: their ports are read, and gone by the time that they are changed."""

    def __init__(self, error: int) -> None:
        self._error = error

    def exists(self, ifindex: int) -> bool:
        return False

    def splice(self, *_: object, **__: object) -> None:
        raise KernelError(self._error, "splice")


def rejoined(error: int) -> list[End]:
    """Return two ends whose patches led to what is gone."""
    box, table = sandbox("r1"), Table()
    ends = [end(box, f"eth{number}", f"r2:eth{number}", ifindex=number) for number in (1, 2)]
    for each in ends:
        assert each.plan is not None
        assert each.port is not None
        each.port.redirect, each.joint = Redirect("mirred", 77), Joint(each.plan.peer, 1)
    table.add(box)
    rejoin(table, cast("Any", Dying(error)))
    return ends


def test_a_pod_that_dies_meanwhile_keeps_no_daemon_from_starting() -> None:
    assert [each.joint for each in rejoined(errno.ENODEV)] == [None, None]


def test_what_else_the_kernel_refuses_is_no_end_of_a_pod() -> None:
    with pytest.raises(KernelError):
        rejoined(errno.ENOMEM)
