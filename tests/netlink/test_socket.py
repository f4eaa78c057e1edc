"""The error of a batch. The socket itself is proven on the real kernel."""

from __future__ import annotations

import errno

from meshnet.errors import KernelError
from meshnet.netlink import BatchError


def test_batch_error_speaks_as_its_first_failure() -> None:
    first = KernelError(errno.EBUSY, "make veth a", "index is taken")
    error = BatchError([(2, first), (5, KernelError(errno.ENODEV, "set link 7"))], [b"echo"])

    assert str(error) == str(first)
    assert (error.errno, error.what, error.detail) == (errno.EBUSY, "make veth a", "index is taken")
    assert [position for position, _ in error.failures] == [2, 5]
    assert error.echoes == (b"echo",)
