"""Namespaces for tests on the real kernel; whatever a test makes ends with them."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import Netlink
from meshnet.netlink.netns import anonymous_netns, entered
from tests.kernel.daemons import DaemonNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def new_ns() -> Iterator[Callable[[], int]]:
    """Make namespaces: call it for a descriptor of a fresh one. The test may close one itself, to end it."""
    made: list[tuple[int, int]] = []

    def make() -> int:
        try:
            fd = anonymous_netns()
        except KernelError as error:
            pytest.skip(f"{error}: run as root, or in a user namespace")
        made.append((fd, os.fstat(fd).st_ino))
        return fd

    yield make
    for fd, inode in made:
        try:
            if os.fstat(fd).st_ino == inode:
                os.close(fd)
        except OSError:
            continue


@pytest.fixture
def node_ns(new_ns: Callable[[], int]) -> Iterator[int]:
    """A fresh namespace in which the test's thread runs; its descriptor."""
    fd = new_ns()
    with entered(fd):
        yield fd


@pytest.fixture
def netlink(node_ns: int) -> Iterator[Netlink]:
    """A socket in the node's namespace."""
    with Netlink.open(node_ns) as netlink:
        yield netlink


@pytest.fixture
def node(node_ns: int, tmp_path: Path, new_ns: Callable[[], int]) -> Iterator[DaemonNode]:
    """A node with its daemon running; its log is shown when the test fails."""
    with contextlib.closing(DaemonNode(tmp_path, new_ns)) as node:
        node.start()
        yield node
        print(node.log())
