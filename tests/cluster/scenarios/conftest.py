"""meshnet on the cluster of the tests: installed once, for all scenarios, and taken away after them."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.installation import install, meshnet, remove, roll_out, uninstall
from tests.cluster.scenarios import traces
from tests.cluster.scenarios.space import LABEL, Space
from tests.image.build import BUILD_LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tests.cluster.machine.cluster import Cluster

INSTALLED = Path(__file__).parent / "installed"
UPGRADED = Path(__file__).parent / "upgraded"
FAILED = pytest.StashKey[bool]()
TOLD = 6000
"""Characters of each daemon's log that a failed test shows."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the cluster; whoever comes first has it and the image to make."""
    for item in items:
        if "scenarios" in item.path.parts and "cluster" in item.path.parts:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(BUILD_LIMIT_S + 300))


@pytest.fixture(scope="package")
def mesh(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster with meshnet. Afterwards the namespaces of tests are gone, and so is all that was on the nodes."""
    install(cluster, INSTALLED)
    yield cluster
    spaces = cluster.kubectl("get", "namespaces", f"--selector={LABEL}", "-o", "name").split()
    if spaces:
        cluster.kubectl("delete", *spaces, "--ignore-not-found", "--timeout=170s")
    traces.wait_none(cluster)
    uninstall(cluster)
    remove(cluster, UPGRADED)


@pytest.fixture(scope="package")
def upgraded(mesh: Cluster) -> Cluster:
    """The cluster, upgraded: for tests that come last, since it is not undone."""
    mesh.apply_directory(UPGRADED)
    roll_out(mesh)
    return mesh


@pytest.fixture(scope="package")
def numbers() -> Iterator[int]:
    """Of namespaces: no two are called the same, since the first may be on its way out when the second is made."""
    return count(1)


@pytest.fixture
def another(mesh: Cluster, numbers: Iterator[int], request: pytest.FixtureRequest) -> Iterator[Callable[[], Space]]:
    """Make namespaces; they go by themselves, since that takes longer than most tests do."""
    made: list[Space] = []
    stem = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())[:40].strip("-")

    def make() -> Space:
        made.append(Space.make(mesh, f"{stem}-{next(numbers)}"))
        return made[-1]

    yield make
    if request.node.stash.get(FAILED, False):
        tell(mesh, made)
    for space in made:
        space.end()


@pytest.fixture
def space(another: Callable[[], Space]) -> Space:
    """A namespace of the test's own."""
    return another()


def tell(mesh: Cluster, spaces: list[Space]) -> None:
    """Print what somebody wants to see who looks why a test failed."""
    for space in spaces:
        print(space.kubectl("get", "topologies,pods", "-o", "wide"))
        print(space.kubectl("get", "topologies", "-o", "yaml"))
        print(space.kubectl("get", "events"))
    print(meshnet(mesh, "get", "pods", "-o", "wide"))
    for name in meshnet(mesh, "get", "pods", "--selector=name=meshnet", "-o", "name").split():
        print(name, mesh.try_kubectl("logs", "--namespace=meshnet", name).stdout[-TOLD:], sep="\n")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed, so that what is on the cluster may be shown before it goes."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
    return report
