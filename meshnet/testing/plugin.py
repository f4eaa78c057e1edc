"""pytest plugin ``meshnet``: nodes and pods for tests of link drivers.

Loaded into every pytest run where meshnet is installed, so it imports nothing of meshnet until a fixture is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshnet.testing.node import KitNode, KitPod


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "kernel: needs CAP_NET_ADMIN in a namespace of its own (root, or a user namespace)"
    )


pytest.register_assert_rewrite(
    *(f"meshnet.testing.driver_{part}" for part in ("lifecycle", "traffic", "peers", "underlay", "lasting"))
)


@pytest.fixture
def meshnet_node() -> Iterator[KitNode]:
    """A node of the test's own: a network namespace with a NIC `eth0`, in which the test's thread runs.

    Skips the test, saying why, where namespaces may not be made.
    """
    from meshnet.errors import KernelError  # noqa: PLC0415 - see above
    from meshnet.testing.node import KitNode  # noqa: PLC0415

    try:
        node = KitNode()
    except KernelError as error:
        pytest.skip(why_no_namespaces(error))
    with node.running():
        yield node


@pytest.fixture
def meshnet_pod(meshnet_node: KitNode) -> Callable[[str], KitPod]:
    """A function that returns the pod of a name on the node, made when it is asked for first."""
    return meshnet_node.pod


def why_no_namespaces(error: Exception) -> str:
    """Return why a test is skipped where namespaces may not be made, and what to do."""
    return f"{error}: run as root, or in a user namespace (unshare --user --map-root-user --net)"
