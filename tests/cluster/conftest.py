"""Real Kubernetes for tests marked ``cluster``: each kind is started once, when the first test asks for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cluster.accounts import Daemons
from tests.cluster.machine.api_server import ApiServer, lone_api_server
from tests.cluster.machine.binaries import Binaries, find_binaries
from tests.cluster.machine.bringup import temporary_cluster
from tests.cluster.machine.errors import CannotHereError
from tests.cluster.store_server import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.cluster import Cluster

TIMEOUT_S = 600
"""Of a test: its first has a whole cluster to start."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("cluster") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def binaries() -> Binaries:
    """The programs of a cluster."""
    try:
        return find_binaries(may_build=False)
    except CannotHereError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def api_server(binaries: Binaries) -> Iterator[ApiServer]:
    """A lone API server, which all tests of a session share: each has namespaces and names of its own in it."""
    with lone_api_server(binaries, audit=True) as server:
        yield server


@pytest.fixture(scope="module")
def daemons(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    """Daemons of two nodes, by what their accounts may do at the API server."""
    made = Daemons(api_server, tmp_path_factory.mktemp("daemons"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def store_server(binaries: Binaries) -> Iterator[ApiServer]:
    """A lone API server for tests of the store, which take all of it: our resources are there, without a schema."""
    with lone_api_server(binaries, audit=True) as server:
        prepare(server)
        yield server


@pytest.fixture(scope="session")
def cluster(binaries: Binaries) -> Iterator[Cluster]:
    """A cluster of three nodes, which all tests of a session share: who breaks something of it mends it again."""
    try:
        with temporary_cluster(f"test-{os.getpid()}", binaries) as cluster:
            yield cluster
    except CannotHereError as reason:
        pytest.skip(str(reason))
