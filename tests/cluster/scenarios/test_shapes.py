"""The topologies of the examples on a cluster, as they are applied and deleted: links between nodes go by VXLAN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.scenarios import shapes, traces
from tests.cluster.scenarios.shapes import SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.cluster import Cluster
    from tests.cluster.scenarios.space import Space


@pytest.fixture(scope="module")
def spaces(mesh: Cluster) -> Iterator[dict[str, Space]]:
    made = shapes.start(mesh, "vxlan")
    yield made
    for space in made.values():
        space.end()


@pytest.mark.parametrize("shape", SHAPES)
def test_pods_run_and_every_link_answers_both_ways(spaces: dict[str, Space], shape: str) -> None:
    space = spaces[shape]
    asked = shapes.addresses(shapes.documents(shape, list(space.cluster.nodes)))
    space.wait_ready(*asked)
    space.wait_running(*asked)

    assert all(asked.values())
    assert not [(pod, address) for pod, others in asked.items() for address in shapes.silent(space, pod, others)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_links_are_of_the_drivers_that_they_should_be(spaces: dict[str, Space], shape: str) -> None:
    space = spaces[shape]
    space.wait_ready(*shapes.addresses(shapes.documents(shape, list(space.cluster.nodes))))

    shapes.assert_drivers(space, shape, "vxlan")


def test_nothing_is_left_on_any_node_when_they_are_deleted(spaces: dict[str, Space]) -> None:
    for shape, space in spaces.items():
        assert any(traces.of(node, space) for node in space.cluster.nodes.values()), shape
        space.kubectl("delete", "topologies,statefulsets,pods", "--all", "--wait=false")

    for space in spaces.values():
        traces.wait_none_of(space)
